package codec

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// Converter writes raw frames in the formats that sinks want. It is for one
// goroutine, and never takes over a reference.
type Converter struct {
	// Fit is what Convert does to a frame of another shape.
	Fit Fit

	unpacker
	ranged, shaped []byte
}

// NewConverter returns a converter.
func NewConverter() *Converter {
	c := new(Converter)
	c.turbo = newCompressor()
	return c
}

// Close frees the converter's memory; RGB frames fail to convert from then on.
// It may be called twice.
func (c *Converter) Close() { c.turbo.closeHandle() }

// Planar writes f to three planes (one if it is greyscale) of PlanarFormat with
// the given bytes per line.
func (c *Converter) Planar(dst [3][]byte, strides [3]int, f *capture.Frame) error {
	if err := checkRaw(f); err != nil {
		return fmt.Errorf("codec: write planes of %v: %w", f.Format, err)
	}
	var p frameView
	planes, n := PlanarFormat(f.Format).Planes()
	for i, l := range planes[:n] {
		p[i] = plane{dst[i], strides[i], l.Stride, l.Lines}
		if !p[i].fitsData() {
			return fmt.Errorf("codec: write planes of %v: plane %d has no room", f.Format, i)
		}
	}
	return c.unpackInto(p, f)
}

// Convert writes f to dst as a frame of format to, of which dst holds at
// least Size bytes. A frame of another size is scaled by Fit; its samples'
// range is converted, a different matrix is not. The target is any raw format of
// Y'CbCr with 8 bits; the same format and size is a plain copy.
func (c *Converter) Convert(dst []byte, to capture.Format, f *capture.Frame) error {
	if err := c.convertTo(dst, to, f); err != nil {
		return fmt.Errorf("codec: convert %v to %v: %w", f.Format, to, err)
	}
	return nil
}

func (c *Converter) convertTo(dst []byte, to capture.Format, f *capture.Frame) error {
	if err := cmp.Or(checkRaw(f), checkTarget(dst, to)); err != nil {
		return err
	}
	to.Matrix = f.Format.Matrix
	if to == f.Format {
		copy(dst, f.Data)
		return nil
	}
	if info := to.Pixel.Info(); info.IsRGB() || info.Layout == capture.Words {
		return fmt.Errorf("%v is no target of conversions", to.Pixel)
	}
	src, err := c.toPlanar(f)
	if err != nil {
		return err
	}
	if from := PlanarFormat(f.Format).Range; from != to.Range {
		src = c.toRange(src, to.Range)
	}
	shown, box := c.Fit.placeIn(f.Format, to)
	if box != wholeRect(to) {
		fillBlack(dst, to)
	}
	c.drawBox(dst, to, box, cropPlanes(src, PlanarFormat(f.Format), shown))
	return nil
}

func checkTarget(dst []byte, to capture.Format) error {
	switch err := to.Check(); {
	case err != nil:
		return err
	case to.Pixel.Compressed():
		return errors.New("the target is compressed")
	case len(dst) < to.Size():
		return fmt.Errorf("the target has room for %d bytes of %d", len(dst), to.Size())
	}
	return nil
}

// toRange returns a copy of p with the samples' range converted to r, from the
// other one (BT.601 section 2.5.3 and JFIF).
func (c *Converter) toRange(p frameView, r capture.Range) frameView {
	size := 0
	for i := range p {
		size += p[i].width * p[i].height
	}
	b := growBuffer(&c.ranged, size)
	for i := range p {
		q := plane{b, p[i].width, p[i].width, p[i].height}
		b = b[q.width*q.height:]
		if p[i].height > 0 {
			m := rangeMaps[r][min(i, 1)]
			rescaleSamples(q, p[i], m.offset, m.factor, m.bias)
			p[i] = q
		}
	}
	return p
}

// rangeMaps holds what rescale needs to make a range of the other one, of luma
// and of chroma.
var rangeMaps = [2][2]struct{ offset, factor, bias int }{
	capture.Limited: {{0, fixedFraction(219, 255), fixedOffset(16)}, {neutral, fixedFraction(224, 255), fixedOffset(neutral)}},
	capture.Full:    {{16, fixedFraction(255, 219), fixedOffset(0)}, {neutral, fixedFraction(255, 224), fixedOffset(neutral)}},
}

// fixedFraction and offset are fixed-point numbers with 14 bits after the point; the
// offset includes a half, for rounding. They give the exact result for all samples.
func fixedFraction(n, d float64) int { return int(math.Round(n / d * (1 << 14))) }
func fixedOffset(n int) int          { return n<<14 + 1<<13 }

// fillBlack fills a frame with black.
func fillBlack(dst []byte, f capture.Format) {
	info, black := f.Pixel.Info(), byte(16)
	if f.Range == capture.Full {
		black = 0
	}
	planes, n := f.Planes()
	for i, l := range planes[:n] {
		b := dst[l.Offset:][:l.Stride*l.Lines]
		switch {
		case info.ChromaFirst:
			repeatPattern(b, neutral, black)
		case info.Layout == capture.Packed422:
			repeatPattern(b, black, neutral)
		case i == 0:
			repeatPattern(b, black)
		default:
			repeatPattern(b, neutral)
		}
	}
}

// drawBox fills the box of the frame in dst with src, which has its range.
func (c *Converter) drawBox(dst []byte, to capture.Format, box rect, src frameView) {
	switch info := to.Pixel.Info(); info.Layout {
	case capture.Packed422:
		area := packedPlane(to, dst).cropTo(box.x, box.y, box.w, box.h, 2)
		mid := c.reshape(src, info.Planar, box)
		c0, c1 := chromaOrder(mid, to.Pixel)
		pack422(area, mid[0], c0, c1, info.ChromaFirst)
	case capture.SemiPlanar:
		luma := plane{dst, to.Width, to.Width, to.Height}.cropTo(box.x, box.y, box.w, box.h, 1)
		mid := c.reshape(src, info.Planar, box)
		scalePlane(luma, mid[0])
		c0, c1 := chromaOrder(mid, to.Pixel)
		subX, subY := info.Subsampling()
		mergePairs(chromaOf(to, dst).cropTo(box.x/subX, box.y/subY, c0.width, c0.height, 2), c0, c1)
	default:
		resamplePlanes(cropPlanes(planesOf(to, dst), to, box), src)
	}
}

// reshape returns src with the size of box and the subsampling of pixel; planes
// that have them already are src's own.
func (c *Converter) reshape(src frameView, pixel capture.PixelFormat, box rect) frameView {
	f := capture.Format{Pixel: pixel, Width: box.w, Height: box.h}
	p := planesOf(f, growBuffer(&c.shaped, f.Size()))
	for i, s := range src {
		if s.width == p[i].width && s.height == p[i].height {
			p[i] = s
		} else {
			p[i].fillFrom(s)
		}
	}
	return p
}

// cropPlanes returns the box of a frame of a planar format.
func cropPlanes(p frameView, f capture.Format, box rect) frameView {
	sub := jfif.SubsamplingOf(f.Pixel.Info().Planar)
	subX, subY := sub.Factors()
	p[0] = p[0].cropTo(box.x, box.y, box.w, box.h, 1)
	w, h := sub.Chroma(box.w, box.h)
	for i := 1; i < sub.Components(); i++ {
		p[i] = p[i].cropTo(box.x/subX, box.y/subY, w, h, 1)
	}
	return p
}
