package codec

import (
	"fmt"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// copier passes a camera's JPEGs through. What needs no repair stays the same
// frame, bit-identical.
//
// A picture cut short within its last scan looks like one that lacks its EOI,
// and only decoding tells them apart: both get an EOI here, and the decoder
// finds the former damaged.
type copier struct {
	counters
	pool *capture.Pool
}

func (c *copier) Format(in capture.Format) capture.Format { return in }

func (c *copier) Close() {}

func (c *copier) Encode(f *capture.Frame) (*capture.Frame, error) {
	h, err := ParseHeader(f.Data)
	if err != nil {
		defer f.Release()
		c.countError(err)
		return nil, fmt.Errorf("codec: check frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	pixel := f.Format.Pixel
	f.Format = h.Format() // a driver may say otherwise
	f.Format.Pixel = pixel
	f = c.repair(f, h)
	f.At[capture.Encoded] = time.Now()
	return f, nil
}

// repair returns f, or a repaired frame in its place.
func (c *copier) repair(f *capture.Frame, h Header) *capture.Frame {
	noHuffman := !h.Huffman && !h.Progressive // Annex K has no tables for progressive JPEGs
	c.count(JunkBefore, h.Start > 0)
	c.count(JunkBetween, h.junk)
	c.count(NoHuffman, noHuffman)
	c.count(NoEOI, !h.Complete)
	c.count(JunkAfter, h.End < len(f.Data))
	if h.Start == 0 && !h.junk && !noHuffman && h.Complete {
		f.Data = f.Data[:h.End]
		return f
	}
	defer f.Release()
	g := c.pool.Get(len(f.Data) + len(standardHuffman) + len(eoi))
	g.Derive(f.Format, f)
	g.Data = rebuild(g.Data[:0], f.Data, h, noHuffman)
	return g
}

// rebuild appends to dst what is good of data, and what it lacks.
func rebuild(dst, data []byte, h Header, noHuffman bool) []byte {
	dst = append(dst, 0xFF, markerSOI)
	for at := h.Start + 2; ; {
		s, err := nextSegment(data, at)
		if err != nil || s.start >= h.SOS { // no error: ParseHeader came this way
			break
		}
		dst = append(dst, data[s.start:s.end]...)
		at = s.end
	}
	if noHuffman {
		dst = append(dst, standardHuffman...)
	}
	dst = append(dst, data[h.SOS:h.End]...)
	if !h.Complete {
		dst = append(dst, eoi...)
	}
	return dst
}
