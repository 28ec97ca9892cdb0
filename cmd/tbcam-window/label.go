package main

import (
	"image/color"
	"math"
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

// draw draws the label scale times its size, or as large as the screen allows;
// its place is a fraction of the room that is left: 0 is left or top, 0.5 the
// middle.
func (l *label) draw(screen *ebiten.Image, scale, x, y float64) {
	l.render()
	if l.box == nil {
		return
	}
	screenWidth, screenHeight := dimensions(screen)
	width, height := dimensions(l.box)
	var o ebiten.DrawImageOptions
	if fits := min(screenWidth/width, screenHeight/height); fits < scale {
		scale, o.Filter = fits, ebiten.FilterLinear
	}
	o.GeoM.Scale(scale, scale)
	o.GeoM.Translate(math.Floor(x*(screenWidth-scale*width)), math.Floor(y*(screenHeight-scale*height)))
	screen.DrawImage(l.box, &o)
}

func dimensions(i *ebiten.Image) (width, height float64) {
	size := i.Bounds().Size()
	return float64(size.X), float64(size.Y)
}
