package main

import (
	"image/color"
	"strings"

	"github.com/hajimehoshi/ebiten/v2"
	"github.com/hajimehoshi/ebiten/v2/ebitenutil"
)

// Size of a character of ebitenutil's font, and the margin around a text.
const (
	charWidth  = 6
	lineHeight = 16
	margin     = 4
)

// label is a text on a dark box. The zero value is an empty one.
type label struct {
	text string
	box  *ebiten.Image // nil: not drawn yet, or nothing to draw
}

// set changes the text and reports whether it was another one. The font has
// Latin-1 only: other characters become question marks.
func (l *label) set(text string) bool {
	text = strings.Map(latin1, text)
	if text == l.text {
		return false
	}
	l.text = text
	if l.box != nil {
		l.box.Deallocate()
		l.box = nil
	}
	return true
}

func latin1(r rune) rune {
	if r > 0xff {
		return '?'
	}
	return r
}

func (l *label) render() {
	if l.box != nil || l.text == "" {
		return
	}
	lines := strings.Split(l.text, "\n")
	width := 0
	for _, line := range lines {
		width = max(width, len([]rune(line)))
	}
	l.box = ebiten.NewImage(width*charWidth+2*margin, len(lines)*lineHeight+2*margin)
	l.box.Fill(color.RGBA{A: 0xb0})
	ebitenutil.DebugPrintAt(l.box, l.text, margin, margin)
}

// draw draws the label scale times its size; its place is a fraction of the
// room that the screen leaves: 0 is left or top, 0.5 the middle.
func (l *label) draw(screen *ebiten.Image, scale, x, y float64) {
	l.render()
	if l.box == nil {
		return
	}
	room, size := screen.Bounds().Size(), l.box.Bounds().Size()
	var o ebiten.DrawImageOptions
	o.GeoM.Scale(scale, scale)
	o.GeoM.Translate(
		float64(int(x*(float64(room.X)-scale*float64(size.X)))),
		float64(int(y*(float64(room.Y)-scale*float64(size.Y)))))
	screen.DrawImage(l.box, &o)
}
