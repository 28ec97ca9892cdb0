package paint

import (
	"image"
	"image/color"
	"slices"
	"strings"
)

// Message draws a heading with lines of detail below it, and small ones behind an
// empty line, in the middle of a width in pixels. It has no box: the frame behind it
// is dimmed.
func (s *Style) Message(text string, width int) *image.RGBA {
	heading, details, _ := strings.Cut(text, "\n")
	type line struct {
		text   string
		face   *Face
		colour color.RGBA
	}
	var lines []line
	add := func(text string, f *Face, c color.RGBA) {
		for _, l := range f.Wrap(f.Clean(text), width) {
			lines = append(lines, line{l, f, c})
		}
	}
	add(heading, s.Heading, Bright)
	details, small, _ := strings.Cut(details, "\n\n")
	if details != "" {
		add(details, s.Body, Text)
	}
	if small != "" {
		add("", s.Small, Muted)
		add(small, s.Small, Muted)
	}
	height := 0
	for _, l := range lines {
		height += l.face.Line
	}
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	y := 0
	for _, l := range lines {
		l.face.Write(m, l.text, (width-l.face.Width(l.text))/2, y, l.colour)
		y += l.face.Line
	}
	return m
}

// Pill draws a short text in a box, in at most a width in pixels; a dot in front
// of it has a colour, or is not there.
func (s *Style) Pill(text string, width int, dot color.RGBA) *image.RGBA {
	pad, dotWidth := s.Px(10), 0
	if dot.A != 0 {
		dotWidth = s.Px(14)
	}
	lines := s.Body.Wrap(s.Body.Clean(text), max(width-2*pad-dotWidth, 1))
	widest := 0
	for _, l := range lines {
		widest = max(widest, s.Body.Width(l))
	}
	m := s.newBox(widest+2*pad+dotWidth, len(lines)*s.Body.Line+s.Px(8))
	if dotWidth > 0 {
		Disc(m, pad+s.Px(4), m.Rect.Dy()/2, s.Px(4), dot)
	}
	for i, l := range lines {
		s.Body.Write(m, l, pad+dotWidth, s.Px(4)+i*s.Body.Line, Bright)
	}
	return m
}

// Row is a key and what it does.
type Row [2]string

// Help draws keys in one or more columns, with its lines closer together where a
// height in pixels has no room for them.
func (s *Style) Help(rows []Row, columns, height int) *image.RGBA {
	lines := (len(rows) + columns - 1) / columns
	pad, gap, above := s.Px(16), s.Px(14), s.Px(12)
	if lines*s.Body.Line+2*above > height {
		above = s.Px(4)
	}
	step := max(min(s.Body.Line, (height-2*above)/lines), s.Px(tightLine))
	var parts [][]Row
	width := 2*pad - 2*gap
	for part := range slices.Chunk(rows, lines) {
		parts = append(parts, part)
		width += s.widestText(part, 0) + gap + s.widestText(part, 1) + 2*gap
	}
	m := s.newBox(width, lines*step+2*above)
	x := pad
	for _, part := range parts {
		texts := x + s.widestText(part, 0) + gap
		for i, r := range part {
			y := above + i*step - (s.Body.Line-step)/2
			s.Body.Write(m, r[0], x, y, Accent)
			s.Body.Write(m, r[1], texts, y, Text)
		}
		x = texts + s.widestText(part, 1) + 2*gap
	}
	return m
}

// tightLine is the least from one line of the help to the next, in
// device-independent pixels: letters do not touch.
const tightLine = 15

// widestText returns the width of the widest key, or of the widest text.
func (s *Style) widestText(rows []Row, of int) (width int) {
	for _, r := range rows {
		width = max(width, s.Body.Width(r[of]))
	}
	return width
}
