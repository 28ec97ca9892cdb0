package loopback

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/codec"
)

// Auto selects a node by itself.
const Auto = "auto"

// Label is the card_label of the node that is taken first.
const Label = "tbcam"

// remedy makes a node that browsers see.
const remedy = "run: sudo modprobe v4l2loopback exclusive_caps=1 card_label=" + Label

// Find returns the node to write to: path itself unless it is Auto.
func Find(path string) (string, error) {
	if path != Auto {
		return path, nil
	}
	nodes, err := v4l2.Loopbacks()
	if err != nil {
		return "", fmt.Errorf("find a virtual camera: %w", err)
	}
	if len(nodes) == 0 {
		return "", errors.New("find a virtual camera: there is no v4l2loopback node; " + remedy)
	}
	for _, n := range nodes {
		if strings.EqualFold(n.Name, Label) {
			return n.Path, nil
		}
	}
	return nodes[0].Path, nil
}

// Sink writes pictures to a node. The node's format is that of the first
// picture, because it must not change under an application that reads it:
// pictures of another size are scaled into it.
type Sink struct {
	path      string
	pool      *capture.Pool
	converter *codec.Converter
	output    *v4l2.Output // nil before the first picture
	format    capture.Format
}

// Open returns a sink for the node that path selects.
func Open(path string, pool *capture.Pool) (*Sink, error) {
	node, err := Find(path)
	if err != nil {
		return nil, err
	}
	if err := v4l2.CheckLoopback(node); err != nil {
		return nil, err
	}
	return &Sink{path: node, pool: pool, converter: codec.NewConverter()}, nil
}

// Format returns the format in which a picture of format in is published:
// YUYV, which everything reads, or YUV420 where that loses nothing.
func Format(in capture.Format) capture.Format {
	out := in
	out.Pixel = capture.YUYV
	switch codec.PlanarFormat(in).Pixel {
	case capture.YUV420, capture.GREY:
		out.Pixel = capture.YUV420
	}
	// Chromium refuses odd widths, and applications take Y'CbCr for limited.
	out.Width, out.Height = max(2, in.Width&^1), max(2, in.Height&^1)
	out.Range = capture.Limited
	return out
}

// Present takes over the reference.
func (s *Sink) Present(f *capture.Frame) error {
	if s.output == nil {
		if err := s.start(f.Format); err != nil {
			f.Release()
			return err
		}
	}
	if f.Format != s.format {
		converted, err := s.convert(f)
		if err != nil {
			return err
		}
		f = converted
	}
	defer f.Release()
	return s.output.Write(f)
}

func (s *Sink) start(in capture.Format) error {
	s.format = Format(in)
	output, err := v4l2.OpenOutput(s.path, s.format, capture.Rate{})
	if err != nil {
		return err
	}
	s.output = output
	return nil
}

// convert takes over f and returns a frame of the node's format.
func (s *Sink) convert(f *capture.Frame) (*capture.Frame, error) {
	defer f.Release()
	g := s.pool.Get(s.format.Size())
	if err := s.converter.Convert(g.Data, s.format, f); err != nil {
		g.Release()
		return nil, fmt.Errorf("convert for %s: %w", s.path, err)
	}
	g.Derive(s.format, f)
	return g, nil
}

// Close gives the node up.
func (s *Sink) Close() error {
	s.converter.Close()
	if s.output == nil {
		return nil
	}
	return s.output.Close()
}
