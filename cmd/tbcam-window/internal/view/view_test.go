package view

import (
	"image/color"
	"math"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func TestLetterbox(t *testing.T) {
	for _, c := range []struct{ width, height, screenWidth, screenHeight, x, y, w, h int }{
		{640, 480, 640, 480, 0, 0, 640, 480},
		{640, 480, 1280, 480, 320, 0, 640, 480},
		{640, 480, 640, 960, 0, 240, 640, 480},
		{1920, 1080, 1280, 800, 0, 40, 1280, 720},
		{320, 240, 1280, 800, 106, 0, 1067, 800},
		{8192, 1, 100, 100, 0, 49, 100, 1},
		{1, 8192, 1, 1, 0, 0, 1, 1},
	} {
		x, y, w, h := Letterbox(c.width, c.height, c.screenWidth, c.screenHeight)
		if x != c.x || y != c.y || w != c.w || h != c.h {
			t.Errorf("%dx%d in %dx%d is at %d,%d %dx%d", c.width, c.height, c.screenWidth, c.screenHeight, x, y, w, h)
		}
	}
}

func TestWindowSize(t *testing.T) {
	for _, c := range []struct {
		width, height, monitorWidth, monitorHeight int
		scale                                      float64
		w, h                                       int
	}{
		{1280, 720, 1920, 1080, 1, 1280, 720},
		{1920, 1080, 1920, 1080, 1, 1728, 972},
		{1280, 720, 1920, 1080, 2, 640, 360},
		{3840, 2160, 1920, 1080, 2, 1728, 972},
		{480, 1920, 1920, 1080, 1, 243, 972},
	} {
		w, h := WindowSize(c.width, c.height, c.monitorWidth, c.monitorHeight, c.scale)
		if w != c.w || h != c.h {
			t.Errorf("%dx%d at %v on %dx%d: window of %dx%d", c.width, c.height, c.scale, c.monitorWidth, c.monitorHeight, w, h)
		}
	}
}

// apply does what the shader does.
func (c Colour) apply(y, cb, cr uint8) [3]float64 {
	luma := (float64(y)/255 - float64(c.Black)) * float64(c.Gain)
	u, v := float64(cb)/255-float64(c.Zero), float64(cr)/255-float64(c.Zero)
	return [3]float64{
		luma + float64(c.Red)*v,
		luma + float64(c.Green[0])*u + float64(c.Green[1])*v,
		luma + float64(c.Blue)*u,
	}
}

// TestJPEG compares with the standard library, which knows the colours of JPEG.
func TestJPEG(t *testing.T) {
	colour := ColourOf(capture.Format{Pixel: capture.YUV444, Matrix: capture.BT601, Range: capture.Full})
	for y := 0; y < 256; y += 5 {
		for cb := 0; cb < 256; cb += 15 {
			for cr := 0; cr < 256; cr += 15 {
				r, g, b := color.YCbCrToRGB(uint8(y), uint8(cb), uint8(cr))
				want := [3]uint8{r, g, b}
				for i, got := range colour.apply(uint8(y), uint8(cb), uint8(cr)) {
					if got := math.Round(255 * min(1, max(0, got))); math.Abs(got-float64(want[i])) > 1 {
						t.Fatalf("%d %d %d: channel %d is %v of %v", y, cb, cr, i, got, want)
					}
				}
			}
		}
	}
}

// TestPrimaries checks the samples that the recommendations give for colours.
func TestPrimaries(t *testing.T) {
	for _, c := range []struct {
		matrix    capture.Matrix
		rng       capture.Range
		y, cb, cr uint8
		want      [3]float64
	}{
		{capture.BT601, capture.Limited, 16, 128, 128, [3]float64{0, 0, 0}},
		{capture.BT601, capture.Limited, 235, 128, 128, [3]float64{1, 1, 1}},
		{capture.BT601, capture.Limited, 81, 90, 240, [3]float64{1, 0, 0}},
		{capture.BT601, capture.Limited, 145, 54, 34, [3]float64{0, 1, 0}},
		{capture.BT601, capture.Limited, 41, 240, 110, [3]float64{0, 0, 1}},
		{capture.BT709, capture.Limited, 63, 102, 240, [3]float64{1, 0, 0}},
		{capture.BT709, capture.Limited, 173, 42, 26, [3]float64{0, 1, 0}},
		{capture.BT709, capture.Limited, 32, 240, 118, [3]float64{0, 0, 1}},
		{capture.BT709, capture.Full, 255, 128, 128, [3]float64{1, 1, 1}},
	} {
		f := capture.Format{Pixel: capture.YUV420, Matrix: c.matrix, Range: c.rng}
		got := ColourOf(f).apply(c.y, c.cb, c.cr)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 0.01 {
				t.Errorf("matrix %d range %d: %d %d %d is %.3f, not %v", c.matrix, c.rng, c.y, c.cb, c.cr, got, c.want)
				break
			}
		}
	}
}

func TestGrey(t *testing.T) {
	colour := ColourOf(capture.Format{Pixel: capture.GREY, Range: capture.Full})
	if got := colour.apply(51, 0, 255); math.Abs(got[0]-0.2) > 1e-6 || got[0] != got[1] || got[1] != got[2] {
		t.Errorf("grey is %v", got)
	}
}

func TestChroma(t *testing.T) {
	for _, c := range []struct {
		format capture.Format
		want   Chroma
	}{
		{capture.Format{Pixel: capture.YUV420, Width: 641, Height: 479, Range: capture.Full},
			Chroma{Step: [2]float32{2, 2}, First: [2]float32{0.5, 0.5}, Last: [2]float32{320, 239}}},
		{capture.Format{Pixel: capture.YUV420, Width: 640, Height: 480, Range: capture.Limited},
			Chroma{Step: [2]float32{2, 2}, First: [2]float32{0, 0.5}, Last: [2]float32{319, 239}}},
		{capture.Format{Pixel: capture.YUV422P, Width: 640, Height: 480, Range: capture.Full},
			Chroma{Step: [2]float32{2, 1}, First: [2]float32{0.5, 0}, Last: [2]float32{319, 479}}},
		{capture.Format{Pixel: capture.YUV444, Width: 640, Height: 480},
			Chroma{Step: [2]float32{1, 1}, Last: [2]float32{639, 479}}},
	} {
		if got := ChromaOf(c.format); got != c.want {
			t.Errorf("%v: %v", c.format, got)
		}
	}
}
