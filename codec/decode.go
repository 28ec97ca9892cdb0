package codec

import (
	"cmp"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// Limits bound what a decoder accepts, in pixels; 0 stands for
// capture.MaxDimension.
type Limits struct{ Width, Height int }

// Decoder turns what came over the wire into raw frames. It is for one goroutine,
// but for Close.
type Decoder struct {
	// LowLatency has several goroutines decode a JPEG whose restart markers allow it:
	// a frame takes less time then, and somewhat more of the processors'. The result
	// is the same. It is set before the first Decode.
	LowLatency bool

	pool    *capture.Pool
	limits  Limits
	stopped atomic.Uint32
	whole   libjpeg
	chroma  []byte // planes of subsamplings that no raw format has
	parts   partDecoder
}

// NewDecoder returns a decoder whose frames come from pool; nil is one of its own.
func NewDecoder(pool *capture.Pool, limits Limits) *Decoder {
	pool = cmp.Or(pool, new(capture.Pool))
	limits.Width = cmp.Or(limits.Width, capture.MaxDimension)
	limits.Height = cmp.Or(limits.Height, capture.MaxDimension)
	d := &Decoder{pool: pool, limits: limits}
	d.whole.stopped = &d.stopped
	d.parts.init(&d.stopped)
	return d
}

// Close ends a Decode that is running; JPEGs fail to decode from then on. It may
// be called twice, and from any goroutine.
func (d *Decoder) Close() { d.stopped.Store(1) }

// Decode takes the caller's reference over in every case and returns a raw
// frame that the caller owns, with Decoded set and all else but the pixel format
// kept. A JPEG becomes YUV420, YUV422P, YUV444 or GREY as its subsampling is
// (4:1:1 becomes YUV422P and 4:4:0 becomes YUV444). A raw frame passes untouched,
// without Decoded: others may be reading it.
//
// The frame has to have the size of the frame's format, within the
// limits. An error that wraps jfif.ErrDamaged costs only this frame.
func (d *Decoder) Decode(f *capture.Frame) (*capture.Frame, error) {
	g, err := d.decodeFrame(f)
	if err != nil {
		err = fmt.Errorf("codec: decode frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	if g == f {
		return g, nil
	}
	f.Release()
	if err != nil {
		return nil, err
	}
	g.At[capture.Decoded] = time.Now()
	return g, nil
}

// decodeFrame returns f itself if it is raw, and else a new frame.
func (d *Decoder) decodeFrame(f *capture.Frame) (*capture.Frame, error) {
	if !f.Format.Pixel.Compressed() {
		if err := checkRaw(f); err != nil {
			return nil, err
		}
		return f, nil
	}
	h, err := jfif.HeaderOf(f)
	if err != nil {
		return nil, err
	}
	if err := d.checkSize(&h, f.Format); err != nil {
		return nil, err
	}
	format := f.Format
	format.Pixel = h.Subsampling.Planar()
	if !d.pool.Room(format.Size()) {
		return nil, fmt.Errorf("%w for %d bytes", ErrNoRoom, format.Size())
	}
	g := d.pool.Get(format.Size())
	g.CopyMetaFrom(format, f)
	if err := d.decompressInto(g, f.Data, &h); err != nil {
		g.Release()
		return nil, err
	}
	return g, nil
}

// checkSize reports what is wrong with the frame's size: it has to be the one
// announced, within the limits.
func (d *Decoder) checkSize(h *jfif.Header, f capture.Format) error {
	switch {
	case h.Width > d.limits.Width || h.Height > d.limits.Height:
		return fmt.Errorf("%w: it is %dx%d, the limit is %dx%d", jfif.TooLarge, h.Width, h.Height, d.limits.Width, d.limits.Height)
	case h.Width != f.Width || h.Height != f.Height:
		return fmt.Errorf("%w: it is %dx%d", jfif.WrongSize, h.Width, h.Height)
	}
	return nil
}

// decompressInto fills g from a JPEG; its pixel format is that of the JPEG's subsampling.
func (d *Decoder) decompressInto(g *capture.Frame, jpeg []byte, h *jfif.Header) error {
	out, sub := planesOf(g.Format, g.Data), h.Subsampling
	if sub == jfif.SubsamplingOf(g.Format.Pixel) {
		return d.fillPlanes(out, jpeg, h)
	}
	// No raw format is like it: decode its chroma elsewhere, and scale that.
	p := out
	w, height := sub.Chroma(g.Format.Width, g.Format.Height)
	b := growBuffer(&d.chroma, 2*w*height)
	p[1], p[2] = plane{b, w, w, height}, plane{b[w*height:], w, w, height}
	if err := d.fillPlanes(p, jpeg, h); err != nil {
		return err
	}
	out[1].fillFrom(p[1])
	out[2].fillFrom(p[2])
	return nil
}

// fillPlanes decodes a JPEG to planes of its components' sizes: in parts, if that is
// faster. Where a part is damaged the whole is decoded, so that nothing but the time
// it takes depends on how a JPEG is decoded.
func (d *Decoder) fillPlanes(p frameView, jpeg []byte, h *jfif.Header) error {
	workers := 1
	if d.LowLatency {
		workers = workersFor(h.Format(), runtime.GOMAXPROCS(0))
	}
	if workers > 1 && d.parts.decode(p, jpeg, h, workers, workers*partsPerWorker) {
		return nil
	}
	return d.whole.decodePlanes(p, jpeg[h.Start:h.End])
}
