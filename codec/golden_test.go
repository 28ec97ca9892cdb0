package codec

import (
	"image"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/golden"
)

// drawing is a frame of which every corner and direction is recognised: an F, black on
// bars of colour, and a different mark in each corner.
func drawing(f capture.Format) []byte {
	data := make([]byte, f.Size())
	for y := range f.Height {
		for x := range f.Width {
			c := drawingAt(x*48/f.Width, y*32/f.Height)
			s := toYCbCr(f, c[0], c[1], c[2])
			for i, at := range where(f, x, y) {
				data[at] = byte(s[i] + 0.5)
			}
		}
	}
	return data
}

// drawingAt returns the colour, R, G, B, of a point of 48x32.
func drawingAt(x, y int) [3]float64 {
	at := image.Pt(x, y)
	for _, part := range []struct {
		where  image.Rectangle
		colour [3]float64
	}{
		{image.Rect(0, 0, 8, 8), [3]float64{1, 0, 0}},
		{image.Rect(40, 0, 48, 8), [3]float64{0, 1, 0}},
		{image.Rect(0, 24, 8, 32), [3]float64{0, 0, 1}},
		{image.Rect(40, 24, 48, 32), [3]float64{1, 1, 0}},
		{image.Rect(16, 4, 20, 28), [3]float64{}},
		{image.Rect(16, 4, 32, 8), [3]float64{}},
		{image.Rect(16, 14, 28, 18), [3]float64{}},
	} {
		if at.In(part.where) {
			return part.colour
		}
	}
	return [3]float64{0.9, 0.7 + float64(x/8)/20, 0.6 + float64(y/8)/10}
}

// TestGoldenTransform and TestGoldenFit compare with frames that somebody has
// looked at.
func TestGoldenTransform(t *testing.T) {
	for name, tr := range map[string]Transform{
		"source":           {},
		"rotate-90":        {Rotate: 90},
		"rotate-180":       {Rotate: 180},
		"rotate-270":       {Rotate: 270},
		"mirror":           {Mirror: true},
		"rotate-90-mirror": {Rotate: 90, Mirror: true},
		"crop":             {Crop: image.Rect(16, 8, 80, 60)},
		"crop-rotate-270":  {Crop: image.Rect(16, 8, 80, 60), Rotate: 270},
	} {
		pool := newPool(t)
		format := formatOf(capture.YUYV, 96, 64)
		f := apply(t, pool, tr, frameOf(pool, format, drawing(format)))
		checkGolden(t, name, f)
		f.Release()
	}
}

func TestGoldenFit(t *testing.T) {
	for name, size := range map[string]image.Point{"wide": {160, 60}, "narrow": {60, 100}, "same": {48, 32}} {
		for _, fit := range []Fit{FitContain, FitCrop, FitStretch} {
			c := newConverter(t)
			c.Fit = fit
			pool := newPool(t)
			from, to := formatOf(capture.YUV422P, 96, 64), formatOf(capture.NV12, size.X, size.Y)
			f := frameOf(pool, from, drawing(from))
			g := frameOf(pool, to, make([]byte, to.Size()))
			if err := c.Convert(g.Data, to, f); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, "fit-"+fit.String()+"-"+name, g)
			f.Release()
			g.Release()
		}
	}
}

// checkGolden compares a frame with testdata/NAME.png.
func checkGolden(t *testing.T, name string, f *capture.Frame) {
	t.Helper()
	got, err := ToRGBA(f)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, name, got)
}
