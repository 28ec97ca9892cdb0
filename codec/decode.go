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

// Decoder turns what came over the wire into raw pictures. It is for one
// goroutine.
type Decoder struct {
	turbo  turbo
	pool   *capture.Pool
	limits Limits
	padded []byte // planes of sizes and subsamplings that no raw format has
}

// NewDecoder returns a decoder whose frames come from pool.
func NewDecoder(pool *capture.Pool, limits Limits) *Decoder {
	limits.Width = cmp.Or(limits.Width, capture.MaxDimension)
	limits.Height = cmp.Or(limits.Height, capture.MaxDimension)
	return &Decoder{turbo: newDecompressor(), pool: pool, limits: limits}
}

// Close frees the decoder's memory; JPEGs fail to decode from then on. It may
// be called twice.
func (d *Decoder) Close() { d.turbo.close() }

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
	if !d.admits(h, f.Format) {
		return nil, fmt.Errorf("%w: it is %dx%d", WrongSize, h.Width, h.Height)
	}
	jpeg := f.Data[h.Start:h.End]
	if err := d.turbo.agrees(jpeg, h); err != nil {
		return nil, err
	}
	format := f.Format
	format.Pixel = h.planar()
	g := d.pool.Get(format.Size())
	g.Derive(format, f)
	if err := d.decompress(g, jpeg, h); err != nil {
		g.Release()
		return nil, err
	}
	return g, nil
}

// admits reports whether the picture has the size announced, within the limits.
func (d *Decoder) admits(h Header, f capture.Format) bool {
	return h.Width == f.Width && h.Height == f.Height &&
		h.Width <= d.limits.Width && h.Height <= d.limits.Height
}

// decompress fills g, whose pixel format is h.planar.
func (d *Decoder) decompress(g *capture.Frame, jpeg []byte, h Header) error {
	out := planesOf(g.Format, g.Data)
	like := headerOf(g.Format)
	if h.SubX == like.SubX && h.SubY == like.SubY && h.Width%h.SubX == 0 && h.Height%h.SubY == 0 {
		return d.turbo.decompress(out, jpeg, h)
	}
	p := h.planes(&d.padded)
	if err := d.turbo.decompress(p, jpeg, h); err != nil {
		return err
	}
	p[0].width, p[0].height = h.Width, h.Height
	resample(out, p)
	return nil
}

// planes returns planes in scratch, rounded up to whole groups of subsampled
// pixels as TurboJPEG writes them.
func (h Header) planes(scratch *[]byte) (p picture) {
	cw, ch := h.chroma(h.Width, h.Height)
	w, ht := cw*h.SubX, ch*h.SubY
	luma, chroma := w*ht, cw*ch
	b := grow(scratch, luma+2*chroma)
	p[0] = plane{b, w, w, ht}
	p[1] = plane{b[luma:], cw, cw, ch}
	p[2] = plane{b[luma+chroma:], cw, cw, ch}
	return p
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
