package codec

import (
	"fmt"
	"math"

	"github.com/tbcam/tbcam/capture"
)

// RGBA writes f as opaque pixels of R, G, B and A, with the given bytes per line,
// which its matrix and range make of it (to 1/255). It is what a screen takes
// where no graphics card converts pictures.
func (c *Converter) RGBA(dst []byte, stride int, f *capture.Frame) error {
	if err := c.toRGBA(plane{dst, stride, 4 * f.Format.Width, f.Format.Height}, f); err != nil {
		return fmt.Errorf("codec: write RGBA of %v: %w", f.Format, err)
	}
	return nil
}

func (c *Converter) toRGBA(dst plane, f *capture.Frame) error {
	if err := checkRaw(f); err != nil {
		return err
	}
	if !dst.fits() {
		return fmt.Errorf("%d bytes are no room for it", len(dst.data))
	}
	src, err := c.toPlanar(f)
	if err != nil {
		return err
	}
	from := PlanarFormat(f.Format)
	offset, factors := factorsOf(from)
	if from.Pixel == capture.GREY { // any chroma will do: its factors are 0
		src[1], src[2] = src[0], src[0]
	} else {
		src = c.shape(src, capture.YUV444, rect{0, 0, from.Width, from.Height})
	}
	rgba(dst, src, offset, &factors)
	return nil
}

// factorsOf returns what rgba needs for the inverse of BT.601 section 2.5.1 or
// BT.709 section 3.2.
func factorsOf(f capture.Format) (offset int, factors [5]int32) {
	kr, kb := 0.299, 0.114
	if f.Matrix == capture.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	luma, chroma := 1.0, 1.0
	if f.Range == capture.Limited {
		offset, luma, chroma = 16, 255.0/219, 255.0/224
	}
	if f.Pixel == capture.GREY {
		chroma = 0
	}
	red, blue, kg := 2*(1-kr)*chroma, 2*(1-kb)*chroma, 1-kr-kb
	for i, x := range [...]float64{luma, red, -blue * kb / kg, -red * kr / kg, blue} {
		factors[i] = int32(math.Round(x * (1 << 14)))
	}
	return offset, factors
}
