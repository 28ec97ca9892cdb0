package main

import (
	"image"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
)

// layer is something that is drawn over the frame, and drawn again only when it
// has changed.
type layer struct {
	// paint returns what is to be seen, nil for nothing.
	paint func() *image.RGBA
	// x and y place it: 0 is left or top, 0.5 the middle, 1 right or bottom.
	x, y float64
	// whole: it belongs to the screen, not to what the panel leaves of it.
	whole bool

	stale   bool
	painted *image.RGBA // nil for nothing
	fitted  *image.RGBA // the same, as small as its room was
	room    image.Point // that it was fitted to

	texture  *ebiten.Image // of uploaded; nil for nothing
	uploaded *image.RGBA
}

// redrawTexture paints the layer if that is due.
func (l *layer) redrawTexture() {
	if !l.stale {
		return
	}
	l.stale = false
	l.painted, l.fitted = l.paint(), nil
	if l.painted != nil && l.painted.Rect.Empty() {
		l.painted = nil
	}
}

// size returns how large the layer is where it is not made smaller.
func (l *layer) size() image.Point {
	l.redrawTexture()
	if l.painted == nil {
		return image.Point{}
	}
	return l.painted.Rect.Size()
}

// sprite returns the layer in a part of the screen, smaller where it does not fit, and
// false if there is nothing to be seen.
func (l *layer) sprite(room image.Rectangle) (paint.Sprite, bool) {
	l.redrawTexture()
	if l.painted == nil || room.Empty() {
		return paint.Sprite{}, false
	}
	if l.fitted == nil || l.room != room.Size() {
		l.fitted, l.room = paint.Fit(l.painted, room.Size()), room.Size()
	}
	return paint.Align(l.fitted, room, l.x, l.y), true
}

// isLegible reports whether a sprite of the layer is hardly smaller than it was painted.
func (l *layer) isLegible(s paint.Sprite) bool {
	const least = 0.75
	return float64(s.Image.Rect.Dy()) >= least*float64(l.painted.Rect.Dy())
}

// drawIn draws the layer's sprite with the graphics card.
func (l *layer) drawIn(screen *ebiten.Image, s paint.Sprite) {
	l.upload(s.Image)
	var o ebiten.DrawImageOptions
	o.GeoM.Translate(float64(s.At.X), float64(s.At.Y))
	screen.DrawImage(l.texture, &o)
}

// upload makes the texture an image, if it is not.
func (l *layer) upload(m *image.RGBA) {
	if l.uploaded == m {
		return
	}
	if l.texture != nil && m.Rect.Size() != l.texture.Bounds().Size() {
		l.texture.Deallocate()
		l.texture = nil
	}
	if l.texture == nil {
		l.texture = newTexture(m.Rect.Dx(), m.Rect.Dy())
	}
	l.texture.WritePixels(m.Pix)
	l.uploaded = m
}
