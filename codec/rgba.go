package codec

import (
	"fmt"
	"image"

	"github.com/tbcam/tbcam/capture"
)

// ToRGBA returns a raw frame as an opaque image, exact for each matrix and
// range. It is for snapshots: it allocates, and takes tens of milliseconds. It
// does not take over the reference.
func ToRGBA(f *capture.Frame) (*image.RGBA, error) {
	if err := checkRaw(f); err != nil {
		return nil, fmt.Errorf("codec: convert %v to RGBA: %w", f.Format, err)
	}
	m := image.NewRGBA(image.Rect(0, 0, f.Format.Width, f.Format.Height))
	if packedRGB[f.Format.Pixel] {
		fromRGB(m.Pix, f.Data, f.Format.Pixel == capture.BGR24)
		return m, nil
	}
	to := f.Format
	to.Pixel = capture.YUV444
	yuv := make([]byte, to.Size())
	c := NewConverter()
	defer c.Close()
	if err := c.Convert(yuv, to, f); err != nil {
		return nil, err
	}
	fromYUV444(m.Pix, yuv, to)
	return m, nil
}

func fromRGB(rgba, rgb []byte, blueFirst bool) {
	r, b := 0, 2
	if blueFirst {
		r, b = 2, 0
	}
	for i := range len(rgba) / 4 {
		p := rgb[3*i : 3*i+3]
		copy(rgba[4*i:], []byte{p[r], p[1], p[b], 0xFF})
	}
}

// fromYUV444 is the inverse of BT.601 section 2.5.1 or BT.709 section 3.2.
func fromYUV444(rgba, yuv []byte, f capture.Format) {
	kr, kb := 0.299, 0.114
	if f.Matrix == capture.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	black, luma, chroma := 0.0, 1.0, 1.0
	if f.Range == capture.Limited {
		black, luma, chroma = 16, 255.0/219, 255.0/224
	}
	kg := 1 - kr - kb
	p := planesOf(f, yuv)
	for i := range len(rgba) / 4 {
		y := (float64(p[0].data[i]) - black) * luma
		cb := (float64(p[1].data[i]) - neutral) * chroma * 2 * (1 - kb)
		cr := (float64(p[2].data[i]) - neutral) * chroma * 2 * (1 - kr)
		g := y - (kb*cb+kr*cr)/kg
		copy(rgba[4*i:], []byte{toByte(y + cr), toByte(g), toByte(y + cb), 0xFF})
	}
}

// toByte rounds and clamps.
func toByte(x float64) byte { return byte(min(max(x+0.5, 0), 255)) }
