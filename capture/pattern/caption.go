package pattern

import (
	"fmt"
	"image"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/tbcam/tbcam/capture"
)

// smallestCaption is the height of a frame below which a caption could not be read.
const smallestCaption = 240

// caption is a text on a dark plate in the middle of a frame, which says that the black
// and white field above it is no damage.
type caption struct {
	plate image.Rectangle
	ink   *image.Alpha // of the plate's size
}

var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		panic(err) // it is part of the program
	}
	return f
})

// newCaption sets the caption of a mode; nil where there is no room for one.
func newCaption(name string, mode capture.Mode) (*caption, error) {
	if mode.Height < smallestCaption {
		return nil, nil
	}
	face, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: float64(mode.Height) / 24, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	defer face.Close()
	text := fmt.Sprintf("tbcam: %s  %dx%d  %.4g fps", name, mode.Width, mode.Height, mode.Rate.FPS())
	line := face.Metrics().Height.Ceil()
	size := image.Pt(font.MeasureString(face, text).Ceil()+line, 2*line)
	at := image.Pt((mode.Width-size.X)/2, mode.Height*3/8-line)
	c := &caption{image.Rectangle{at, at.Add(size)}, image.NewAlpha(image.Rectangle{Max: size})}
	d := font.Drawer{Dst: c.ink, Src: image.Opaque, Face: face}
	d.Dot = fixed.P(line/2, line/2+face.Metrics().Ascent.Ceil())
	d.DrawString(text)
	return c, nil
}

// over returns the colour of a pixel that is c without the caption.
func (t *caption) over(x, y int, c [3]byte) [3]byte {
	p := image.Pt(x, y)
	if t == nil || !p.In(t.plate) {
		return c
	}
	p = p.Sub(t.plate.Min)
	ink := int(t.ink.AlphaAt(p.X, p.Y).A)
	return [3]byte{byte(black + ink*(white-black)/255), 128, 128}
}
