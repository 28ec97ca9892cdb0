package controls

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"slices"
	"strconv"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
)

// Sizes in device-independent pixels.
const (
	panelWidth = 340
	margin     = 14
	header     = 40
	footer     = 46
	lowRow     = 34 // of a switch, a menu or a button
	highRow    = 50 // of a slider
)

// Width returns how wide the panel is on a screen of some width; both in pixels.
func Width(s *paint.Style, screen int) int { return min(s.Px(panelWidth), screen) }

// layout is where things are in the panel.
type layout struct {
	rows    image.Rectangle   // what is seen of them
	row     []image.Rectangle // of each control
	widget  []image.Rectangle // that can be pressed or dragged, in each row
	mute    image.Rectangle   // the switch of the microphone
	top     int               // of the header, below the microphone
	one     image.Rectangle   // the button for the default of one control
	all     image.Rectangle   // and that for all
	scroll  int               // pixels of rows that are above those seen
	longest int               // that scroll can be
	reveal  bool              // scroll to the chosen row
}

// Draw draws the panel in a size in pixels.
func (l *List) Draw(s *paint.Style, width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	paint.Fill(m, m.Rect, 0, paint.Back)
	l.layOut(s, width, height)
	if len(l.all) == 0 {
		for i, line := range s.Body.Wrap("The camera is off.", width-2*s.Px(margin)) {
			s.Body.Write(m, line, s.Px(margin), l.layout.rows.Min.Y+i*s.Body.Line, paint.Muted)
		}
	}
	rows := m.SubImage(l.layout.rows).(*image.RGBA)
	for i := range l.all {
		if l.layout.row[i].Overlaps(l.layout.rows) {
			l.drawRow(rows, s, i)
		}
	}
	s.Body.Write(m, "Camera controls", s.Px(margin), l.layout.top+(s.Px(header)-s.Body.Line)/2, paint.Bright)
	if l.Meter != nil {
		l.drawMicrophone(m, s)
	}
	if len(l.all) > 0 {
		l.drawScroll(m, s)
		l.drawFooter(m, s)
	}
	return m
}

// layOut computes the layout.
func (l *List) layOut(s *paint.Style, width, height int) {
	p := &l.layout
	p.top = l.layOutMicrophone(s, width)
	above := p.top + s.Px(header)
	p.rows = image.Rect(0, min(above, height), width, max(above, height-s.Px(footer)))
	total := 0
	for i := range l.all {
		total += rowHeight(s, &l.all[i])
	}
	p.longest = max(0, total-p.rows.Dy())
	p.row, p.widget = p.row[:0], p.widget[:0]
	y := 0
	for i := range l.all {
		h := rowHeight(s, &l.all[i])
		if i == l.chosen && p.reveal {
			p.scroll, p.reveal = max(y+h-p.rows.Dy(), min(p.scroll, y)), false
		}
		p.row = append(p.row, image.Rect(0, y, width, y+h))
		y += h
	}
	p.scroll = max(0, min(p.scroll, p.longest))
	for i := range p.row {
		p.row[i] = p.row[i].Add(image.Pt(0, p.rows.Min.Y-p.scroll))
		p.widget = append(p.widget, l.placeWidget(s, &l.all[i], p.row[i]))
	}
	top, middle := height-s.Px(footer)+s.Px(8), width/2
	p.one = image.Rect(s.Px(margin), top, middle-s.Px(4), height-s.Px(10))
	p.all = image.Rect(middle+s.Px(4), top, width-s.Px(margin), height-s.Px(10))
}

// layOutMicrophone places the microphone's row at the top, and returns its height.
func (l *List) layOutMicrophone(s *paint.Style, width int) int {
	if l.Meter == nil {
		return 0
	}
	right, top := width-s.Px(margin), s.Px(4)
	l.layout.mute = image.Rect(right-s.Px(32), top+s.Px(4), right, top+s.Px(lowRow-4))
	return top + s.Px(lowRow)
}

// drawMicrophone draws the microphone's row: its name, its level, and a switch that is off
// while it is muted.
func (l *List) drawMicrophone(m *image.RGBA, s *paint.Style) {
	p := l.layout.mute
	const name = "Microphone"
	y := (p.Min.Y + p.Max.Y - s.Body.Line) / 2
	s.Body.Write(m, name, s.Px(margin), y, paint.Bright)
	left := s.Px(margin) + s.Body.Width(name) + s.Px(margin)
	s.DrawMeter(m, image.Rect(left, p.Min.Y, p.Min.X-s.Px(margin), p.Max.Y), *l.Meter)
	drawSwitch(m, s, p, !l.Meter.Muted, ink{paint.Text, paint.Muted, paint.Muted})
}

func rowHeight(s *paint.Style, c *capture.Control) int {
	if kindOf(c) == slider {
		return s.Px(highRow)
	}
	return s.Px(lowRow)
}

func (l *List) placeWidget(s *paint.Style, c *capture.Control, row image.Rectangle) image.Rectangle {
	r := row.Inset(s.Px(4))
	r.Min.X, r.Max.X = row.Min.X+s.Px(margin), row.Max.X-s.Px(margin)
	switch kindOf(c) {
	case slider:
		r.Min.Y = row.Max.Y - s.Px(22)
	case toggle:
		r.Min.X = r.Max.X - s.Px(32)
	case menu:
		r.Min.X = r.Max.X - s.Body.Width(l.choiceName(s, c, row)) - s.Px(40)
	case button:
		r.Min.X = r.Max.X - s.Px(60)
	default:
		r.Min.X = r.Max.X
	}
	return r
}

// choiceName returns the name of a menu's choice, cut to the room for it.
func (l *List) choiceName(s *paint.Style, c *capture.Control, row image.Rectangle) string {
	name := strconv.FormatInt(l.shownValue(c), 10)
	for _, m := range c.Menu {
		if m.Index == l.shownValue(c) {
			name = m.Name
		}
	}
	return s.Body.Cut(s.Body.Clean(name), row.Dx()/2-s.Px(20))
}

// ink is how bright the parts of a row are.
type ink struct{ name, value, mark color.RGBA }

func (l *List) ink(i int) ink {
	c := &l.all[i]
	k := ink{paint.Text, paint.Muted, paint.Muted}
	if i == l.chosen {
		k.name = paint.Bright
	}
	if l.isAltered(c) {
		k.value, k.mark = paint.Text, paint.Accent
	}
	if !isUsable(c) {
		k = ink{paint.Dim, paint.Dim, paint.Faint}
	}
	return k
}

func (l *List) drawRow(m *image.RGBA, s *paint.Style, i int) {
	c, row, k := &l.all[i], l.layout.row[i], l.ink(i)
	if i == l.chosen {
		draw.Draw(m, row, image.NewUniform(paint.Chosen), image.Point{}, draw.Src)
		paint.Fill(m, image.Rect(row.Min.X, row.Min.Y, row.Min.X+s.Px(3), row.Max.Y), 0, paint.Accent)
	}
	y := row.Min.Y + (s.Px(lowRow)-s.Body.Line)/2
	end := l.drawWidget(m, s, i, y, k)
	left := row.Min.X + s.Px(margin)
	s.Body.Write(m, s.Body.Cut(s.Body.Clean(c.Name), end-left-s.Px(10)), left, y, k.name)
}

// drawWidget draws what is right of a control's name, and returns where it begins.
func (l *List) drawWidget(m *image.RGBA, s *paint.Style, i, y int, k ink) int {
	c, w := &l.all[i], l.layout.widget[i]
	switch kindOf(c) {
	case slider:
		l.drawSlider(m, s, c, w, k)
		return drawRight(m, s, l.valueText(c), w.Max.X, y, k.value)
	case toggle:
		drawSwitch(m, s, w, l.shownValue(c) != 0, k)
		return w.Min.X
	case menu:
		s.Body.Write(m, "‹", w.Min.X+s.Px(4), y, k.mark)
		s.Body.Write(m, l.choiceName(s, c, l.layout.row[i]), w.Min.X+s.Px(20), y, k.value)
		drawRight(m, s, "›", w.Max.X-s.Px(4), y, k.mark)
		return w.Min.X
	case button:
		drawButton(m, s, w, "Press", k.name)
		return w.Min.X
	}
	return drawRight(m, s, l.valueText(c), w.Max.X, y, k.value)
}

// drawRight writes a text that ends at x, and returns where it begins.
func drawRight(m *image.RGBA, s *paint.Style, text string, x, y int, c color.RGBA) int {
	x -= s.Body.Width(text)
	s.Body.Write(m, text, x, y, c)
	return x
}

// valueText returns the value of a slider, or of what is only shown.
func (l *List) valueText(c *capture.Control) string {
	switch v := l.shownValue(c); c.Type {
	case "bitmask":
		return fmt.Sprintf("%#x", uint32(v))
	case "string":
		return "…"
	default:
		return strconv.FormatInt(v, 10)
	}
}

// drawSlider draws a track with a mark at the default and a knob at the value.
func (l *List) drawSlider(m *image.RGBA, s *paint.Style, c *capture.Control, w image.Rectangle, k ink) {
	middle, left, right := (w.Min.Y+w.Max.Y)/2, w.Min.X+s.Px(knob), w.Max.X-s.Px(knob)
	at := func(v int64) int { return left + int(l.partOfRange(c, v)*float64(right-left)+0.5) }
	x, d := at(l.shownValue(c)), at(c.Default)
	paint.Fill(m, image.Rect(left, middle-s.Px(1), right, middle+s.Px(1)), 0, paint.Faint)
	paint.Fill(m, image.Rect(d, middle-s.Px(5), d+s.Px(1), middle+s.Px(5)), 0, paint.Faint)
	if isUsable(c) {
		paint.Fill(m, image.Rect(left, middle-s.Px(1), x, middle+s.Px(1)), 0, k.mark)
	}
	paint.Disc(m, x, middle, s.Px(knob), k.mark)
}

// knob is the radius of a slider's knob.
const knob = 6

func drawSwitch(m *image.RGBA, s *paint.Style, w image.Rectangle, on bool, k ink) {
	w.Min.Y = (w.Min.Y+w.Max.Y)/2 - s.Px(8)
	w.Max.Y = w.Min.Y + s.Px(16)
	x, back, dot := w.Min.X+s.Px(8), paint.Raised, k.mark
	if on {
		x, back, dot = w.Max.X-s.Px(8), paint.Accent, paint.Bright
	}
	if k.name == paint.Dim {
		back, dot = paint.Raised, paint.Faint
	}
	paint.Fill(m, w, s.Px(8), back)
	paint.Disc(m, x, w.Min.Y+s.Px(8), s.Px(6), dot)
}

func drawButton(m *image.RGBA, s *paint.Style, r image.Rectangle, text string, c color.RGBA) {
	paint.Fill(m, r, s.Px(4), paint.Raised)
	text = s.Body.Cut(text, r.Dx())
	s.Body.Write(m, text, (r.Min.X+r.Max.X-s.Body.Width(text))/2, (r.Min.Y+r.Max.Y-s.Body.Line)/2, c)
}

// drawFooter draws the buttons, or why there are none.
func (l *List) drawFooter(m *image.RGBA, s *paint.Style) {
	if !slices.ContainsFunc(l.all, func(c capture.Control) bool { return !c.ReadOnly }) {
		text := s.Small.Cut("The sender does not allow changes.", m.Rect.Dx()-2*s.Px(margin))
		s.Small.Write(m, text, s.Px(margin), m.Rect.Dy()-(s.Px(footer)+s.Small.Line)/2, paint.Muted)
		return
	}
	l.drawButtons(m, s)
}

// drawButtons draws the buttons for defaults, bright where they do something.
func (l *List) drawButtons(m *image.RGBA, s *paint.Style) {
	one, all := paint.Dim, paint.Dim
	for i := range l.all {
		if l.isAltered(&l.all[i]) {
			all = paint.Text
			if i == l.chosen {
				one = paint.Text
			}
		}
	}
	drawButton(m, s, l.layout.one, "Reset", one)
	drawButton(m, s, l.layout.all, "Reset all", all)
}

// drawScroll shows which part of the rows is seen, if not all are.
func (l *List) drawScroll(m *image.RGBA, s *paint.Style) {
	p := &l.layout
	if p.longest == 0 || p.rows.Dy() == 0 {
		return
	}
	seen, total := p.rows.Dy(), p.rows.Dy()+p.longest
	y := p.rows.Min.Y + p.scroll*seen/total
	bar := image.Rect(p.rows.Max.X-s.Px(4), y, p.rows.Max.X-s.Px(1), y+seen*seen/total)
	paint.Fill(m, bar, s.Px(1), paint.Faint)
}
