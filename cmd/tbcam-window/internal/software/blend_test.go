package software

import (
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"testing"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
	"github.com/tbcam/tbcam/codec"
)

// canvas returns an image of one colour, with lines that are longer than it is wide.
func canvas(width, height int, c color.RGBA) codec.BGRA {
	m := codec.BGRA{Stride: 4*width + 8, Width: width, Height: height}
	for range m.Stride * height / 4 {
		m.Pix = append(m.Pix, c.B, c.G, c.R, 255)
	}
	return m
}

func at(m codec.BGRA, x, y int) color.RGBA {
	p := m.Pix[y*m.Stride+4*x:]
	return color.RGBA{p[2], p[1], p[0], p[3]}
}

// TestBlend compares with image/draw, for sprites that are inside, at every edge, and
// outside.
func TestBlend(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sprite := image.NewRGBA(image.Rect(0, 0, 7, 5))
	for i := range 7 * 5 {
		alpha := byte(rng.IntN(256))
		if i%3 == 0 {
			alpha = byte(i % 2 * 255)
		}
		part := func() byte { return byte(rng.IntN(int(alpha) + 1)) }
		sprite.SetRGBA(i%7, i/7, color.RGBA{part(), part(), part(), alpha})
	}
	under := color.RGBA{200, 100, 50, 255}
	for _, place := range []image.Point{{3, 2}, {-3, -2}, {10, 8}, {-7, 0}, {40, 40}, {13, -4}} {
		got := canvas(16, 10, under)
		blend(got, paint.Sprite{Image: sprite, At: place})
		want := image.NewRGBA(image.Rect(0, 0, 16, 10))
		draw.Draw(want, want.Rect, image.NewUniform(under), image.Point{}, draw.Src)
		draw.Draw(want, sprite.Rect.Add(place), sprite, image.Point{}, draw.Over)
		for i := range 16 * 10 {
			g, w := at(got, i%16, i/16), want.RGBAAt(i%16, i/16)
			if off(g.R, w.R) > 1 || off(g.G, w.G) > 1 || off(g.B, w.B) > 1 {
				t.Fatalf("at %v: (%d, %d) is %v instead of %v", place, i%16, i/16, g, w)
			}
		}
	}
}

func off(a, b byte) int { return max(int(a)-int(b), int(b)-int(a)) }

// TestBlackenAround: nothing of a rectangle is touched, and nothing else is left.
func TestBlackenAround(t *testing.T) {
	white := color.RGBA{255, 255, 255, 255}
	for _, r := range []image.Rectangle{{}, image.Rect(2, 1, 5, 4), image.Rect(0, 0, 8, 6), image.Rect(0, 2, 8, 3)} {
		m := canvas(8, 6, white)
		blackenAround(m, r)
		for i := range 8 * 6 {
			inside := image.Pt(i%8, i/8).In(r)
			if c := at(m, i%8, i/8); (c.R == 255) != inside {
				t.Errorf("around %v: (%d, %d) is %v", r, i%8, i/8, c)
			}
		}
	}
}
