package codec

import (
	"fmt"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// copier passes a camera's JPEGs through. What needs no repair stays the same
// frame, bit-identical.
//
// A frame cut short within its last scan looks like one that lacks its EOI,
// and only decoding distinguishes them: both get an EOI here, and the decoder
// finds the former damaged.
type copier struct {
	counters
	pool *capture.Pool
}

func (c *copier) Format(in capture.Format) capture.Format { return in }

func (c *copier) Close() {}

func (c *copier) Encode(f *capture.Frame) (*capture.Frame, error) {
	h, err := jfif.HeaderOf(f)
	if err != nil {
		defer f.Release()
		c.countError(err)
		return nil, fmt.Errorf("codec: check frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	pixel := f.Format.Pixel
	f.Format = h.Format() // a driver may report another size
	f.Format.Pixel = pixel
	f = c.repairFrame(f, &h)
	f.At[capture.Encoded] = time.Now()
	return f, nil
}

// repairFrame returns f, or a repaired frame in its place.
func (c *copier) repairFrame(f *capture.Frame, h *jfif.Header) *capture.Frame {
	for cause := range jfif.NoSOI {
		c.countIf(cause, h.Needs(cause))
	}
	if h.IsIntact() {
		f.Data = f.Data[:h.End]
		return f
	}
	defer f.Release()
	g := c.pool.Get(len(f.Data) + jfif.RepairRoom)
	g.CopyMetaFrom(f.Format, f)
	g.Data = h.AppendRepaired(g.Data[:0], f.Data)
	return g
}
