package paint

import (
	"image"
	"image/color"
	"image/draw"
	"math"
)

// Fill fills a rectangle with rounded corners of a radius in pixels.
func Fill(dst *image.RGBA, r image.Rectangle, radius int, c color.RGBA) {
	radius = min(radius, r.Dx()/2, r.Dy()/2)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		inset := 0 // from where on the line is whole
		if y < r.Min.Y+radius || y >= r.Max.Y-radius {
			inset = radius
			drawCorner(dst, r, radius, y, c)
		}
		line := image.Rect(r.Min.X+inset, y, r.Max.X-inset, y+1)
		draw.Draw(dst, line, image.NewUniform(c), image.Point{}, draw.Over)
	}
}

// drawCorner draws what a line has of the corners.
func drawCorner(dst *image.RGBA, r image.Rectangle, radius, y int, c color.RGBA) {
	dy := float64(radius) - 0.5 - float64(min(y-r.Min.Y, r.Max.Y-1-y))
	for i := range radius {
		dx := float64(radius) - 0.5 - float64(i)
		cover := float64(radius) - math.Hypot(dx, dy) + 0.5
		blendPixel(dst, r.Min.X+i, y, c, cover)
		blendPixel(dst, r.Max.X-1-i, y, c, cover)
	}
}

// blendPixel draws a part, 0 to 1, of a pixel.
func blendPixel(dst *image.RGBA, x, y int, c color.RGBA, part float64) {
	part = min(1, max(0, part))
	shade := func(v uint8) uint8 { return uint8(float64(v)*part + 0.5) }
	source := color.RGBA{shade(c.R), shade(c.G), shade(c.B), shade(c.A)}
	draw.Draw(dst, image.Rect(x, y, x+1, y+1), image.NewUniform(source), image.Point{}, draw.Over)
}

// Disc fills a circle.
func Disc(dst *image.RGBA, x, y, radius int, c color.RGBA) {
	Fill(dst, image.Rect(x-radius, y-radius, x+radius, y+radius), radius, c)
}

// newBox returns an image with a box of a size.
func (s *Style) newBox(width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	Fill(m, m.Rect, s.Px(6), Back)
	return m
}
