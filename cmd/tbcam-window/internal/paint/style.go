package paint

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// The colours: quiet ones, legible over any frame. They are premultiplied.
var (
	Back   = color.RGBA{0x12, 0x14, 0x16, 0xf2} // of boxes
	Raised = color.RGBA{0x2c, 0x2f, 0x33, 0xff} // of what can be pressed
	Chosen = color.RGBA{0x1c, 0x1f, 0x23, 0xf4} // behind the chosen row
	Bright = color.RGBA{0xf1, 0xf3, 0xf4, 0xff}
	Text   = color.RGBA{0xd5, 0xd8, 0xdc, 0xff}
	Muted  = color.RGBA{0xa8, 0xae, 0xb5, 0xff}
	Dim    = color.RGBA{0x92, 0x98, 0x9e, 0xff} // text of what cannot be changed now
	Faint  = color.RGBA{0x5b, 0x60, 0x66, 0xff} // lines
	Shade  = color.RGBA{0x2a, 0x3d, 0x52, 0xff} // below the graph's line
	Accent = color.RGBA{0x7f, 0xb2, 0xe8, 0xff}
	Live   = color.RGBA{0xe0, 0x66, 0x5c, 0xff} // what is being recorded
)

// Face is a font in a size.
type Face struct {
	face   font.Face
	glyphs *sfnt.Font
	// Line is from one line to the next, ascent from the top of a line to the
	// line that letters stand on; in pixels.
	Line, ascent int
}

// Style is how everything looks on a monitor of a scale. It is for one goroutine.
type Style struct {
	Scale                float64 // pixels of the monitor per device-independent pixel
	Body, Small, Heading *Face
}

var fonts = sync.OnceValue(func() (f struct{ regular, medium *opentype.Font }) {
	f.regular, f.medium = parseFont(goregular.TTF), parseFont(gomedium.TTF)
	return f
})

func parseFont(ttf []byte) *opentype.Font {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic(err) // it is part of the program
	}
	return f
}

// NewStyle returns the style for a monitor's scale.
func NewStyle(scale float64) *Style {
	f := fonts()
	return &Style{
		Scale:   scale,
		Body:    newFace(f.regular, 14*scale),
		Small:   newFace(f.regular, 12*scale),
		Heading: newFace(f.medium, 24*scale),
	}
}

func newFace(f *opentype.Font, size float64) *Face {
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // only a font of no size fails
	}
	m := face.Metrics()
	line := int(1.4*size + 0.5)
	return &Face{face: face, glyphs: f, Line: line, ascent: (line + m.Ascent.Ceil() - m.Descent.Ceil()) / 2}
}

// Px returns device-independent pixels in those of the monitor.
func (s *Style) Px(dip float64) int { return int(dip*s.Scale + 0.5) }

// hyphen is drawn for '-', whose glyph in the Go fonts is as wide as a minus: a
// command line would be copied with a dash.
const hyphen = '\u00ad'

// Clean returns a text with question marks for what the font lacks, and hyphens
// that look like hyphens.
func (f *Face) Clean(text string) string {
	var b sfnt.Buffer
	return strings.Map(func(r rune) rune {
		switch r {
		case '\n':
			return r
		case '-':
			return hyphen
		}
		if i, err := f.glyphs.GlyphIndex(&b, r); err != nil || i == 0 || unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

// Width returns the width of a line of text in pixels.
func (f *Face) Width(text string) int { return font.MeasureString(f.face, text).Ceil() }

// Write writes a line of text with its upper left corner at (x, y).
func (f *Face) Write(dst draw.Image, text string, x, y int, c color.Color) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(c), Face: f.face, Dot: fixed.P(x, y+f.ascent)}
	d.DrawString(text)
}

// Cut returns as much of a line as fits into a width, with an ellipsis where
// something is missing.
func (f *Face) Cut(text string, width int) string {
	if f.Width(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && f.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// Wrap breaks a text into lines of at most a width, between words where it can.
func (f *Face) Wrap(text string, width int) []string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if longer := strings.TrimSpace(line + " " + word); f.Width(longer) <= width {
				line = longer
				continue
			}
			if line != "" {
				lines = append(lines, strings.TrimSuffix(line, " ·"))
			}
			lines, line = f.breakWord(lines, word, width)
		}
		lines = append(lines, line)
	}
	return lines
}

// breakWord adds a word's whole lines and returns what is left of it.
func (f *Face) breakWord(lines []string, word string, width int) ([]string, string) {
	line := ""
	for _, r := range word {
		if line != "" && f.Width(line+string(r)) > width {
			lines, line = append(lines, line), ""
		}
		line += string(r)
	}
	return lines, line
}
