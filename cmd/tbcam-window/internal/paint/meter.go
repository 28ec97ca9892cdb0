package paint

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
)

// Meter is how the far microphone is heard.
type Meter struct {
	Level float32 // the loudest sample of a moment, in dBFS
	Flows bool    // it is heard at all
	Muted bool
}

// The ends of a meter, and from where on its bar warns that samples are cut, in dBFS.
const (
	quietest = -60
	tooLoud  = -3
)

// meterWidth is that of the bar beside the statistics, in device-independent pixels.
const meterWidth = 120

// Microphone draws a meter in a box: what it is, its bar, which is shorter where a width in
// pixels has no room for it, and the level.
func (s *Style) Microphone(l Meter, width int) *image.RGBA {
	pad, left := s.Px(10), s.Body.Width("Microphone off")
	right := s.Body.Width("\u221260 dB")
	length := min(s.Px(meterWidth), max(0, width-left-right-4*pad))
	m := s.newBox(left+length+right+4*pad, s.Body.Line+s.Px(8))
	s.Body.Write(m, l.describe(), pad, s.Px(4), Bright)
	bar := image.Rect(left+2*pad, 0, left+2*pad+length, m.Rect.Dy())
	s.DrawMeter(m, bar, l)
	if l.Flows {
		level := fmt.Sprintf("%.0f dB", l.Level)
		s.Body.Write(m, s.Body.Clean(level), m.Rect.Dx()-pad-s.Body.Width(level), s.Px(4), Muted)
	}
	return m
}

// describe returns what the meter is of, in a word or two.
func (l Meter) describe() string {
	switch {
	case l.Muted:
		return "Muted"
	case !l.Flows:
		return "Microphone off"
	}
	return "Microphone"
}

// DrawMeter draws the bar of a meter in the middle of a place, with marks each 20 dB.
func (s *Style) DrawMeter(m *image.RGBA, place image.Rectangle, l Meter) {
	middle := (place.Min.Y + place.Max.Y) / 2
	bar := image.Rect(place.Min.X, middle-s.Px(3), place.Max.X, middle+s.Px(3))
	if bar.Dx() <= 0 {
		return
	}
	at := func(dB float32) int {
		part := min(1, max(0, (dB-quietest)/-quietest))
		return bar.Min.X + int(part*float32(bar.Dx())+0.5)
	}
	Fill(m, bar, s.Px(2), Raised)
	if l.Flows {
		Fill(m, image.Rect(bar.Min.X, bar.Min.Y, at(l.Level), bar.Max.Y), s.Px(2), l.colour())
	}
	for dB := float32(quietest + 20); dB < 0; dB += 20 {
		mark := image.Rect(at(dB), bar.Min.Y, at(dB)+s.Px(1), bar.Max.Y)
		draw.Draw(m, mark, image.NewUniform(Faint), image.Point{}, draw.Src)
	}
}

// colour returns that of the bar: quiet where nobody hears it, and a warning where it is
// too loud.
func (l Meter) colour() color.RGBA {
	switch {
	case l.Muted:
		return Faint
	case l.Level >= tooLoud:
		return Live
	}
	return Accent
}

// Join returns two images beside each other or, where a width in pixels has no room for
// that, one below the other.
func Join(a, b *image.RGBA, gap, width int) *image.RGBA {
	at := image.Pt(a.Rect.Dx()+gap, 0)
	if at.X+b.Rect.Dx() > width {
		at = image.Pt(0, a.Rect.Dy()+gap)
	}
	m := image.NewRGBA(a.Rect.Union(b.Rect.Add(at)))
	draw.Draw(m, a.Rect, a, image.Point{}, draw.Src)
	draw.Draw(m, b.Rect.Add(at), b, image.Point{}, draw.Src)
	return m
}
