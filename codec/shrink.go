package codec

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// Shrink takes over a raw frame and returns it, or in its place one from pool whose
// sides are an integer part of its own, so that it has at most so many pixels.
func (c *Converter) Shrink(f *capture.Frame, pool *capture.Pool, pixels int) (*capture.Frame, error) {
	if f.Format.Width*f.Format.Height <= pixels {
		return f, nil
	}
	defer f.Release()
	to := PlanarFormat(f.Format)
	for n := 2; to.Width*to.Height > pixels; n++ {
		to.Width, to.Height = max(1, f.Format.Width/n), max(1, f.Format.Height/n)
	}
	if !pool.Room(to.Size()) {
		return nil, fmt.Errorf("codec: shrink %v: %w for %d bytes", f.Format, ErrNoRoom, to.Size())
	}
	g := pool.Get(to.Size())
	g.CopyMetaFrom(to, f)
	if err := c.Convert(g.Data, to, f); err != nil {
		g.Release()
		return nil, err
	}
	return g, nil
}
