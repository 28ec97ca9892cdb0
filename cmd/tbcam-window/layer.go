package main

import (
	"image"
	"math"

	"github.com/hajimehoshi/ebiten/v2"
)

// layer is something that is drawn over the picture, and drawn anew only when it
// has changed.
type layer struct {
	// paint returns what is to be seen, nil for nothing.
	paint func() *image.RGBA
	// x and y place it: 0 is left or top, 0.5 the middle, 1 right or bottom.
	x, y float64
	// whole: it belongs to the screen, not to what the panel leaves of it.
	whole bool

	stale   bool
	texture *ebiten.Image // nil for nothing
}

// refresh makes the texture what it should be.
func (l *layer) refresh() {
	if !l.stale {
		return
	}
	l.stale = false
	m := l.paint()
	if l.texture != nil && (m == nil || m.Rect.Size() != l.texture.Bounds().Size()) {
		l.texture.Deallocate()
		l.texture = nil
	}
	if m == nil || m.Rect.Empty() {
		return
	}
	if l.texture == nil {
		l.texture = newTexture(m.Rect.Dx(), m.Rect.Dy())
	}
	l.texture.WritePixels(m.Pix)
}

// size returns how large the layer is where it is not made smaller.
func (l *layer) size() image.Point {
	l.refresh()
	if l.texture == nil {
		return image.Point{}
	}
	return l.texture.Bounds().Size()
}

// draw draws the layer in a part of the screen, smaller where it does not fit.
func (l *layer) draw(screen *ebiten.Image, room image.Rectangle) {
	l.refresh()
	if l.texture == nil || room.Empty() {
		return
	}
	width, height := dimensions(l.texture.Bounds())
	roomWidth, roomHeight := dimensions(room)
	var o ebiten.DrawImageOptions
	scale := min(1, roomWidth/width, roomHeight/height)
	if scale < 1 {
		o.Filter = ebiten.FilterLinear
	}
	o.GeoM.Scale(scale, scale)
	x, y := l.x*(roomWidth-scale*width), l.y*(roomHeight-scale*height)
	o.GeoM.Translate(float64(room.Min.X)+math.Floor(x), float64(room.Min.Y)+math.Floor(y))
	screen.DrawImage(l.texture, &o)
}

func dimensions(r image.Rectangle) (width, height float64) {
	return float64(r.Dx()), float64(r.Dy())
}
