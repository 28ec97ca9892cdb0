package codec

import (
	"encoding/binary"
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
	if info := f.Format.Pixel.Info(); info.IsRGB() {
		fromRGB(m.Pix, f.Data, info)
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

func fromRGB(rgba, rgb []byte, info *capture.PixelInfo) {
	if info.Layout == capture.RGB16 {
		fromRGB565(rgba, rgb)
		return
	}
	r, g, b, size := info.RGB[0], info.RGB[1], info.RGB[2], info.RGB[3]
	for i := range len(rgba) / 4 {
		p := rgb[size*i : size*(i+1)]
		copy(rgba[4*i:], []byte{p[r], p[g], p[b], 0xFF})
	}
}

// fromRGB565 repeats the upper bits in the lower ones, so that white stays white.
func fromRGB565(rgba, rgb []byte) {
	for i := range len(rgba) / 4 {
		v := binary.LittleEndian.Uint16(rgb[2*i:])
		r, g, b := byte(v>>11), byte(v>>5&63), byte(v&31)
		copy(rgba[4*i:], []byte{r<<3 | r>>2, g<<2 | g>>4, b<<3 | b>>2, 0xFF})
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
