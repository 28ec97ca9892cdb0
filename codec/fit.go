package codec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// Fit is how a frame fills another shape.
type Fit int

// The ways. Pixels are taken for square.
const (
	FitContain Fit = iota // all of the frame, centred between black bars
	FitCrop               // the middle of the frame, without bars
	FitStretch            // all of the frame, distorted
)

var fitNames = []string{"contain", "crop", "stretch"}

// String returns the name that ParseFit reads.
func (f Fit) String() string { return fitNames[f] }

// ParseFit reads "contain", "crop" or "stretch".
func ParseFit(s string) (Fit, error) {
	if i := slices.Index(fitNames, s); i >= 0 {
		return Fit(i), nil
	}
	return 0, fmt.Errorf("fit %q is unknown; known are %s", s, strings.Join(fitNames, ", "))
}

// placeIn returns which part of a frame of format from is shown, and where in one
// of format to.
func (f Fit) placeIn(from, to capture.Format) (shown, box rect) {
	shown, box = wholeRect(from), wholeRect(to)
	switch f {
	case FitContain:
		box = fitInside(from, to)
	case FitCrop:
		shown = fitInside(to, from)
	}
	return shown, box
}

// rect is a rectangle of pixels.
type rect struct{ x, y, w, h int }

func wholeRect(f capture.Format) rect { return rect{0, 0, f.Width, f.Height} }

// fitInside returns where a rectangle of the shape of from goes in a frame of format
// to: as large as fits, centred, and on even pixels, where subsampled chroma is.
func fitInside(from, to capture.Format) rect {
	w, h := to.Width, to.Height
	switch a, b := to.Width*from.Height, to.Height*from.Width; {
	case a < b:
		h = roundToEven(a, from.Width, to.Height)
	case a > b:
		w = roundToEven(b, from.Height, to.Width)
	}
	return rect{(to.Width - w) / 2 &^ 1, (to.Height - h) / 2 &^ 1, w, h}
}

// roundToEven returns n/d rounded to an even number, but at least 2 if most allows it.
func roundToEven(n, d, most int) int { return min(max((n+d)/(2*d)*2, 2), most) }
