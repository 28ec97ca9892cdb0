package codec

import (
	"cmp"
	"fmt"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// Limits bound what a decoder accepts, in pixels; 0 stands for
// capture.MaxDimension.
type Limits struct{ Width, Height int }

// Decoder turns what came over the wire into raw frames. It is for one goroutine,
// but for Close.
type Decoder struct {
	libjpeg libjpeg
	pool    *capture.Pool
	limits  Limits
	chroma  []byte // planes of subsamplings that no raw format has
}

// NewDecoder returns a decoder whose frames come from pool.
func NewDecoder(pool *capture.Pool, limits Limits) *Decoder {
	limits.Width = cmp.Or(limits.Width, capture.MaxDimension)
	limits.Height = cmp.Or(limits.Height, capture.MaxDimension)
	return &Decoder{pool: pool, limits: limits}
}

// Close ends a Decode that is running; JPEGs fail to decode from then on. It may
// be called twice, and from any goroutine.
func (d *Decoder) Close() { d.libjpeg.stop() }

// Decode takes the caller's reference over in every case and returns a raw
// frame that the caller owns, with Decoded set and all else but the pixel format
// kept. A JPEG becomes YUV420, YUV422P, YUV444 or GREY as its subsampling is
// (4:1:1 becomes YUV422P and 4:4:0 becomes YUV444). A raw frame passes untouched,
// without Decoded: others may be reading it.
//
// The picture has to have the size that the frame's format says, within the
// limits. An error that wraps ErrDamaged costs only this frame.
func (d *Decoder) Decode(f *capture.Frame) (*capture.Frame, error) {
	g, err := d.decode(f)
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

// decode returns f itself if it is raw, and else a new frame.
func (d *Decoder) decode(f *capture.Frame) (*capture.Frame, error) {
	if !f.Format.Pixel.Compressed() {
		if err := checkRaw(f); err != nil {
			return nil, err
		}
		return f, nil
	}
	h, err := ParseHeader(f.Data)
	if err != nil {
		return nil, err
	}
	if err := d.admit(h, f.Format); err != nil {
		return nil, err
	}
	format := f.Format
	format.Pixel = h.planar()
	if !d.pool.Room(format.Size()) {
		return nil, fmt.Errorf("%w for %d bytes", ErrNoRoom, format.Size())
	}
	g := d.pool.Get(format.Size())
	g.Derive(format, f)
	if err := d.decompress(g, f.Data[h.Start:h.End], h); err != nil {
		g.Release()
		return nil, err
	}
	return g, nil
}

// admit reports what is wrong with the frame's size: it has to be the one
// announced, within the limits.
func (d *Decoder) admit(h Header, f capture.Format) error {
	switch {
	case h.Width > d.limits.Width || h.Height > d.limits.Height:
		return fmt.Errorf("%w: it is %dx%d, the limit is %dx%d", TooLarge, h.Width, h.Height, d.limits.Width, d.limits.Height)
	case h.Width != f.Width || h.Height != f.Height:
		return fmt.Errorf("%w: it is %dx%d", WrongSize, h.Width, h.Height)
	}
	return nil
}

// decompress fills g, whose pixel format is h.planar.
func (d *Decoder) decompress(g *capture.Frame, jpeg []byte, h Header) error {
	out := planesOf(g.Format, g.Data)
	like := headerOf(g.Format)
	if h.SubX == like.SubX && h.SubY == like.SubY {
		return d.libjpeg.decode(out, jpeg)
	}
	p := out
	p[1], p[2] = h.chromaPlanes(&d.chroma)
	if err := d.libjpeg.decode(p, jpeg); err != nil {
		return err
	}
	out[1].draw(p[1])
	out[2].draw(p[2])
	return nil
}

// chromaPlanes returns planes in scratch of the size of the header's chroma.
func (h Header) chromaPlanes(scratch *[]byte) (cb, cr plane) {
	w, ht := h.chroma(h.Width, h.Height)
	b := grow(scratch, 2*w*ht)
	return plane{b, w, w, ht}, plane{b[w*ht:], w, w, ht}
}

// chroma returns how many chroma samples a rectangle of pixels has.
func (h Header) chroma(width, height int) (w, ht int) {
	return (width + h.SubX - 1) / h.SubX, (height + h.SubY - 1) / h.SubY
}

// subsampled lists the planar formats that JPEGs can have.
var subsampled = []struct {
	pixel            capture.PixelFormat
	components, x, y int
}{
	{capture.GREY, 1, 1, 1},
	{capture.YUV444, 3, 1, 1},
	{capture.YUV422P, 3, 2, 1},
	{capture.YUV420, 3, 2, 2},
	// No raw format is like these: they become the next one with more chroma.
	{capture.YUV444, 3, 1, 2},
	{capture.YUV422P, 3, 4, 1},
}

// planar returns the pixel format that JPEGs with such a header decode to.
func (h Header) planar() capture.PixelFormat {
	for _, s := range subsampled {
		if s.components == h.Components && s.x == h.SubX && s.y == h.SubY {
			return s.pixel
		}
	}
	panic("codec: header was not made by ParseHeader")
}

// headerOf returns the header of JPEGs of a planar format.
func headerOf(f capture.Format) Header {
	for _, s := range subsampled {
		if s.pixel == f.Pixel {
			return Header{Width: f.Width, Height: f.Height, Components: s.components, SubX: s.x, SubY: s.y}
		}
	}
	panic("codec: format is not planar")
}
