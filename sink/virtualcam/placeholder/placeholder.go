package placeholder

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// Brightness, of limited range.
const (
	ground = 40
	ink    = 220
)

// Sizes of the text.
const (
	columns     = 34 // about that many characters make a line
	comfortable = 12 // pixels; it is no smaller where that fits
	smallest    = 9  // pixels; just legible
)

// maxRunes bounds a text, which may come from the peer.
const maxRunes = 200

// Draw returns a frame of lines in a raw format that codec.Converter makes, the
// first of them in larger type. Lines are wrapped; what then does not fit is left out, and what the
// font cannot show becomes question marks. The caller owns the frame, which has
// no times.
func Draw(pool *capture.Pool, format capture.Format, lines []string) (*capture.Frame, error) {
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("draw a placeholder: %w", err)
	}
	grey := format
	grey.Pixel, grey.Range = capture.GREY, capture.Limited
	f := pool.Get(grey.Size())
	defer f.Release()
	f.Format = grey
	for i := range f.Data {
		f.Data[i] = ground
	}
	if err := writeLines(f, lines); err != nil {
		return nil, fmt.Errorf("draw a placeholder: %w", err)
	}
	return convertFrame(pool, format, f)
}

func convertFrame(pool *capture.Pool, format capture.Format, f *capture.Frame) (*capture.Frame, error) {
	c := codec.NewConverter()
	defer c.Close()
	g := pool.Get(format.Size())
	if err := c.Convert(g.Data, format, f); err != nil {
		g.Release()
		return nil, fmt.Errorf("draw a placeholder: %w", err)
	}
	g.Format = format
	return g, nil
}

// typeface is parsed once: it is part of the program, and so there is no error.
var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		panic(err)
	}
	return f
})

// paragraph is wrapped text of one size.
type paragraph struct {
	face  font.Face
	lines []string
}

// height returns the pixels between two lines.
func (p paragraph) height() int { return p.face.Metrics().Height.Ceil() * 5 / 4 }

// writeLines writes the lines to the middle of a grey frame, as large as fits.
func writeLines(f *capture.Frame, lines []string) error {
	w, h := f.Format.Width, f.Format.Height
	for size := max(comfortable, min(float64(w)*2/columns, float64(h)/10)); ; size = max(smallest, size*0.9) {
		text, err := typesetLines(lines, size, w*9/10)
		if err != nil {
			return err
		}
		if size == smallest || textHeight(text) <= h*9/10 {
			drawText(f, text)
			return nil
		}
	}
}

// typesetLines wraps lines into a width; the first line's type is half as large again.
func typesetLines(lines []string, size float64, width int) ([]paragraph, error) {
	var text []paragraph
	for i, line := range lines {
		o := opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull}
		if i == 0 {
			o.Size *= 1.5
		}
		face, err := opentype.NewFace(typeface(), &o)
		if err != nil {
			return nil, err
		}
		text = append(text, paragraph{face, wrapText(face, cleanText(line), fixed.I(width))})
	}
	return text, nil
}

func textHeight(text []paragraph) int {
	h := 0
	for _, p := range text {
		h += len(p.lines) * p.height()
	}
	return h
}

// cleanText makes a text harmless, and bounds it.
func cleanText(text string) string {
	runes := []rune(text)
	return strings.Map(shownRune, string(runes[:min(len(runes), maxRunes)]))
}

// hyphen is drawn for '-', whose glyph in the Go fonts is as wide as a minus.
const hyphen = '\u00ad'

// shownRune returns r if the font has it.
func shownRune(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r == '-':
		return hyphen
	}
	if i, err := typeface().GlyphIndex(nil, r); err != nil || i == 0 || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// wrapText breaks text between words, and words that are wider than a line.
func wrapText(face font.Face, text string, width fixed.Int26_6) []string {
	fits := func(s string) bool { return font.MeasureString(face, s) <= width }
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if longer := strings.TrimSpace(line + " " + word); fits(longer) {
			line = longer
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line = ""
		for _, r := range word {
			if line != "" && !fits(line+string(r)) {
				lines = append(lines, line)
				line = ""
			}
			line += string(r)
		}
	}
	return append(lines, line)
}

// drawText draws the text, centred; what is too much is omitted at the end.
func drawText(f *capture.Frame, text []paragraph) {
	w, h := f.Format.Width, f.Format.Height
	frame := &image.Gray{Pix: f.Data, Stride: w, Rect: image.Rect(0, 0, w, h)}
	y := max(0, (h-textHeight(text))/2)
	for _, p := range text {
		for _, line := range p.lines {
			if y+p.height() > h {
				return
			}
			x := (w - font.MeasureString(p.face, line).Ceil()) / 2
			d := font.Drawer{Dst: frame, Src: image.NewUniform(color.Gray{Y: ink}), Face: p.face}
			d.Dot = fixed.P(max(0, x), y+(p.height()+p.face.Metrics().CapHeight.Ceil())/2)
			d.DrawString(line)
			y += p.height()
		}
	}
}
