package virtualcam

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/sink/virtualcam/placeholder"
)

// quality is that of JPEGs which have to be made here.
const quality = 85

// painter makes any frame one of the node's format. It is for one goroutine at a
// time.
type painter struct {
	format    capture.Format
	pool      *capture.Pool
	converter *codec.Converter
	// Of a node that has JPEGs, else nil.
	decoder *codec.Decoder
	encoder codec.Encoder
}

func newPainter(format capture.Format, fit codec.Fit, pool *capture.Pool) (*painter, error) {
	p := &painter{format: format, pool: pool, converter: codec.NewConverter()}
	p.converter.Fit = fit
	if !format.Pixel.Compressed() {
		return p, nil
	}
	encoder, err := codec.NewEncoder(codec.JPEG, quality, pool)
	if err != nil {
		p.converter.Close()
		return nil, err
	}
	p.decoder, p.encoder = codec.NewDecoder(pool, codec.Limits{}), encoder
	p.decoder.LowLatency = true
	return p, nil
}

func (p *painter) closeCodecs() {
	p.converter.Close()
	if p.encoder != nil {
		p.decoder.Close()
		p.encoder.Close()
	}
}

// paintFrame takes over a frame, and returns it in the node's format, owned by the
// caller; it is the same one where nothing needs to change.
func (p *painter) paintFrame(f *capture.Frame) (*capture.Frame, error) {
	if f.Format == p.format && (p.encoder == nil || isWhole(f)) {
		return f, nil
	}
	if p.encoder == nil {
		return p.convertFrame(f, p.format)
	}
	raw, err := p.decoder.Decode(f)
	if err != nil {
		return nil, err
	}
	if raw, err = p.convertFrame(raw, p.rawFormat()); err != nil {
		return nil, err
	}
	return p.encoder.Encode(raw)
}

// isWhole reports whether a JPEG agrees with its frame's format: it is the peer's, and
// applications are going to decode it.
func isWhole(f *capture.Frame) bool {
	header, err := jfif.HeaderOf(f)
	return err == nil && header.Complete && header.Format() == f.Format
}

// rawFormat returns the format of frames of which the encoder makes the node's.
func (p *painter) rawFormat() capture.Format {
	raw := p.format
	if raw.Pixel.Compressed() {
		raw.Pixel = capture.YUV420
	}
	return raw
}

// convertFrame takes over f.
func (p *painter) convertFrame(f *capture.Frame, to capture.Format) (*capture.Frame, error) {
	defer f.Release()
	if !p.pool.Room(to.Size()) {
		return nil, fmt.Errorf("convert for a virtual camera: %w for %d bytes", codec.ErrNoRoom, to.Size())
	}
	g := p.pool.Get(to.Size())
	if err := p.converter.Convert(g.Data, to, f); err != nil {
		g.Release()
		return nil, fmt.Errorf("convert for a virtual camera: %w", err)
	}
	g.CopyMetaFrom(to, f)
	return g, nil
}

// drawText returns a frame of a text.
func (p *painter) drawText(lines []string) (*capture.Frame, error) {
	f, err := placeholder.Draw(p.pool, p.rawFormat(), lines)
	if err != nil {
		return nil, err
	}
	return p.paintFrame(f)
}
