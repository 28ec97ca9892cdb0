package paint

import (
	"image"
	"math"

	"golang.org/x/image/draw"
)

// Sprite is an image and where it is on the screen: its upper left corner.
type Sprite struct {
	Image *image.RGBA
	At    image.Point
}

// Place returns where the sprite is on the screen.
func (s Sprite) Place() image.Rectangle { return s.Image.Rect.Sub(s.Image.Rect.Min).Add(s.At) }

// Fit returns an image, or a smaller one of the same shape where it does not fit into a
// size.
func Fit(m *image.RGBA, size image.Point) *image.RGBA {
	width, height := float64(m.Rect.Dx()), float64(m.Rect.Dy())
	scale := min(float64(size.X)/width, float64(size.Y)/height)
	if scale >= 1 {
		return m
	}
	small := image.NewRGBA(image.Rect(0, 0, max(1, int(scale*width)), max(1, int(scale*height))))
	draw.CatmullRom.Scale(small, small.Rect, m, m.Rect, draw.Src, nil)
	return small
}

// Align returns a sprite of an image in a rectangle: x and y are 0 for its left and top,
// 0.5 for its middle, 1 for its right and bottom.
func Align(m *image.RGBA, room image.Rectangle, x, y float64) Sprite {
	dx, dy := x*float64(room.Dx()-m.Rect.Dx()), y*float64(room.Dy()-m.Rect.Dy())
	return Sprite{m, room.Min.Add(image.Pt(int(math.Floor(dx)), int(math.Floor(dy))))}
}
