package paint

import (
	"image"
	"image/color"
	"testing"
)

// TestFit: what fits is left alone, and what does not keeps its shape and its colours.
func TestFit(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 40, 20))
	Fill(m, m.Rect, 0, color.RGBA{90, 60, 30, 255})
	for _, c := range []struct{ room, want image.Point }{
		{image.Pt(40, 20), image.Pt(40, 20)}, {image.Pt(90, 90), image.Pt(40, 20)},
		{image.Pt(20, 90), image.Pt(20, 10)}, {image.Pt(90, 5), image.Pt(10, 5)}, {image.Pt(1, 1), image.Pt(1, 1)},
	} {
		got := Fit(m, c.room)
		if got.Rect.Size() != c.want || got.RGBAAt(0, 0) != (color.RGBA{90, 60, 30, 255}) {
			t.Errorf("in %v it is %v, %v", c.room, got.Rect.Size(), got.RGBAAt(0, 0))
		}
	}
}

func TestAlign(t *testing.T) {
	m, room := image.NewRGBA(image.Rect(0, 0, 4, 3)), image.Rect(10, 20, 21, 40)
	for _, c := range []struct {
		x, y float64
		want image.Point
	}{{0, 0, image.Pt(10, 20)}, {1, 1, image.Pt(17, 37)}, {0.5, 0.5, image.Pt(13, 28)}} {
		if s := Align(m, room, c.x, c.y); s.At != c.want {
			t.Errorf("(%v, %v) is at %v instead of %v", c.x, c.y, s.At, c.want)
		}
	}
}
