package view

import (
	"math"

	"github.com/tbcam/tbcam/capture"
)

// Colour is how Y'CbCr samples, as fractions of 255, become R'G'B':
//
//	y = (Y' - Black) * Gain
//	R' = y + Red*(Cr-Zero)
//	G' = y + Green[0]*(Cb-Zero) + Green[1]*(Cr-Zero)
//	B' = y + Blue*(Cb-Zero)
type Colour struct {
	Black, Gain, Zero float32
	Red, Blue         float32
	Green             [2]float32
}

// ColourOf returns the coefficients for a format (ITU-R BT.601 and BT.709).
func ColourOf(f capture.Format) Colour {
	kr, kb := 0.299, 0.114
	if f.Matrix == capture.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	black, gain, chroma := 0.0, 1.0, 1.0
	if f.Range == capture.Limited {
		black, gain, chroma = 16.0/255, 255.0/219, 255.0/224
	}
	if f.Pixel == capture.GREY {
		chroma = 0
	}
	kg := 1 - kr - kb
	red, blue := 2*(1-kr)*chroma, 2*(1-kb)*chroma
	return Colour{
		Black: float32(black),
		Gain:  float32(gain),
		Zero:  128.0 / 255,
		Red:   float32(red),
		Blue:  float32(blue),
		Green: [2]float32{float32(-blue * kb / kg), float32(-red * kr / kg)},
	}
}

// Chroma is where chroma samples lie, in pixels: of the luma samples from one to
// the next, and from the first luma sample to the first chroma sample. Last is
// the number of the last one.
type Chroma struct{ Step, First, Last [2]float32 }

// ChromaOf returns the siting for a format. Its range distinguishes JPEG (full, samples
// in the middle of their pixels) from video (limited, on the left pixel).
func ChromaOf(f capture.Format) Chroma {
	x, y := f.Pixel.Info().Subsampling()
	c := Chroma{Step: [2]float32{float32(x), float32(y)}}
	if x == 2 && f.Range == capture.Full {
		c.First[0] = 0.5
	}
	if y == 2 {
		c.First[1] = 0.5
	}
	c.Last[0] = float32(math.Ceil(float64(f.Width)/float64(c.Step[0]))) - 1
	c.Last[1] = float32(math.Ceil(float64(f.Height)/float64(c.Step[1]))) - 1
	return c
}
