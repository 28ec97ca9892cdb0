package capture

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pion/mediadevices/pkg/prop"
)

// Want is what a user asked of a camera or a microphone; zero values leave the choice open.
type Want struct {
	Kind   Kind        `json:"kind,omitempty"`   // Audio has no format, size and rate
	Camera string      `json:"camera,omitempty"` // or microphone; "auto" or "": the first one
	Pixel  PixelFormat `json:"format,omitzero"`
	Width  int         `json:"width,omitempty"`  // pixels; both or none
	Height int         `json:"height,omitempty"` // pixels
	FPS    float64     `json:"fps,omitempty"`    // frames per second
	// Input and Standard are what the camera's own host chooses; no peer can.
	Input    string `json:"-"`
	Standard string `json:"-"`
}

// WithDefaults returns w with its open points taken from base.
func (w Want) WithDefaults(base Want) Want {
	w.Camera = cmp.Or(w.Camera, base.Camera)
	w.Pixel = cmp.Or(w.Pixel, base.Pixel)
	w.FPS = cmp.Or(w.FPS, base.FPS)
	w.Input, w.Standard = base.Input, base.Standard
	if w.Width == 0 {
		w.Width, w.Height = base.Width, base.Height
	}
	return w
}

// maxFPS is more than any camera delivers.
const maxFPS = 10000

// Check reports what no camera can have, if anything.
func (w Want) Check() error {
	switch {
	case w.Kind != Video && w.Kind != Audio:
		return errors.New("kind is unknown")
	case w.Kind == Audio && (w.Pixel != 0 || w.Width != 0 || w.Height != 0 || w.FPS != 0):
		return fmt.Errorf("a microphone has no %v", w)
	case (w.Width == 0) != (w.Height == 0) || min(w.Width, w.Height) < 0 || max(w.Width, w.Height) > MaxDimension:
		return fmt.Errorf("size %dx%d: must be 1x1 to %dx%d", w.Width, w.Height, MaxDimension, MaxDimension)
	case !(w.FPS >= 0 && w.FPS <= maxFPS): // nor is it NaN
		return fmt.Errorf("%g fps: must be 0 to %d", w.FPS, maxFPS)
	}
	return nil
}

// String returns for instance "mjpeg 1280x720 at 30 fps".
func (w Want) String() string {
	var parts []string
	if w.Pixel != 0 {
		parts = append(parts, w.Pixel.String())
	}
	if w.Width != 0 {
		parts = append(parts, fmt.Sprintf("%dx%d", w.Width, w.Height))
	}
	if w.FPS != 0 {
		parts = append(parts, fmt.Sprintf("at %g fps", w.FPS))
	}
	return cmp.Or(strings.TrimPrefix(strings.Join(parts, " "), "at "), "any mode")
}

// What a good mode is where the user left it open: fluent before large, and
// no larger than a display and a cable take with ease.
const (
	idealFPS    = 30
	idealWidth  = 1920
	idealHeight = 1080
	// Above this size a camera's own JPEGs are worth more than raw frames.
	rawPixels = 640 * 480
)

// fluency is how many frames per second a mode should have at least: what an eye
// takes for motion, else half of that, else anything.
var fluency = []float32{24, 12, 0}

// ChooseMode returns the mode of the camera that fits best: what was asked for
// exactly, and the best of that by the fitness distance of the W3C media capture
// specification. Without such a mode the error wraps ErrNoMode and names the
// nearest ones, and the formats that the camera has where that is why.
func ChooseMode(modes []Mode, want Want) (Mode, error) {
	var asked []Mode
	for _, m := range modes {
		if m.Pixel.Supported() && matchesWant(m, want) {
			asked = append(asked, m)
		}
	}
	for _, fps := range fluency {
		for _, pixels := range []int{idealWidth * idealHeight, MaxDimension * MaxDimension} {
			if m, ok := fittestMode(asked, fps, pixels); ok {
				return m, nil
			}
		}
	}
	return Mode{}, explainNoMode(modes, want)
}

// explainNoMode returns the error for a camera without a mode that fits.
func explainNoMode(modes []Mode, want Want) error {
	usable := func(m Mode) bool { return m.Pixel.Supported() }
	hasWanted := func(m Mode) bool { return matchesWant(m, Want{Pixel: want.Pixel}) }
	switch {
	case len(modes) == 0:
		return noMode("camera lists no formats")
	case !slices.ContainsFunc(modes, usable):
		return noMode("camera delivers only %s, which cannot be decoded", FormatNames(modes))
	case !slices.ContainsFunc(modes, hasWanted):
		return noMode("camera does not offer %v; it has %s; nearest: %s", want, FormatNames(modes), nameNearest(modes, want))
	}
	return noMode("camera does not offer %v; nearest: %s", want, nameNearest(modes, want))
}

// noMode returns an error that wraps ErrNoMode.
func noMode(format string, args ...any) error { return &modeError{fmt.Sprintf(format, args...)} }

// modeError is ErrNoMode with a text of its own.
type modeError struct{ text string }

func (e *modeError) Error() string { return e.text }
func (e *modeError) Unwrap() error { return ErrNoMode }

// FormatNames lists the pixel formats of modes, each once, for a message.
func FormatNames(modes []Mode) string {
	var names []string
	for _, m := range modes {
		if !slices.Contains(names, m.Pixel.String()) {
			names = append(names, m.Pixel.String())
		}
	}
	return strings.Join(names, ", ")
}

func matchesWant(m Mode, want Want) bool {
	return (want.Pixel == 0 || m.Pixel == want.Pixel || m.Pixel.Compressed() && want.Pixel.Compressed()) &&
		(want.Width == 0 || m.Width == want.Width && m.Height == want.Height) &&
		(want.FPS == 0 || m.Rate.FPS() == 0 || math.Abs(m.Rate.FPS()-want.FPS) < 0.02*want.FPS)
}

// fittestMode returns the mode of the best size among those with that many frames
// per second at least, and that many pixels at most.
func fittestMode(modes []Mode, fps float32, pixels int) (best Mode, found bool) {
	var c prop.MediaConstraints
	c.FrameRate = prop.FloatRanged{Min: fps, Max: math.MaxFloat32}
	c.Width = prop.IntRanged{Min: 1, Max: MaxDimension, Ideal: idealWidth}
	c.Height = prop.IntRanged{Min: 1, Max: MaxDimension, Ideal: idealHeight}
	least := math.Inf(1)
	for _, m := range modes {
		d, ok := constraintDistance(m, c)
		if !ok || m.Width*m.Height > pixels || d > least || d == least && !isPreferred(m, best) {
			continue
		}
		best, least, found = m, d, true
	}
	return best, found
}

func constraintDistance(m Mode, c prop.MediaConstraints) (float64, bool) {
	var p prop.Media
	p.Width, p.Height, p.FrameRate = m.Width, m.Height, float32(m.Rate.FPS())
	return c.FitnessDistance(p)
}

// isPreferred orders modes of equal fitness: by rate, then by format.
func isPreferred(m, than Mode) bool {
	off := func(m Mode) float64 { return math.Abs(math.Round(cmp.Or(m.Rate.FPS(), idealFPS)) - idealFPS) }
	return cmp.Or(cmp.Compare(off(m), off(than)), cmp.Compare(formatCost(m), formatCost(than))) < 0
}

// formatCost is the rank of a format at its size: camera JPEGs above 640x480, below it
// the raw formats in the order of their table, greyscale last.
func formatCost(m Mode) int {
	switch {
	case m.Pixel.Compressed() && m.Width*m.Height > rawPixels:
		return -1
	case m.Pixel.Compressed():
		return len(pixelTable)
	case m.Pixel.Info().Planar == GREY:
		return len(pixelTable) + ranks[m.Pixel]
	}
	return ranks[m.Pixel]
}

// nameNearest names up to three modes close to the wanted one.
func nameNearest(modes []Mode, want Want) string {
	var c prop.MediaConstraints
	c.Width = prop.Int(cmp.Or(want.Width, idealWidth))
	c.Height = prop.Int(cmp.Or(want.Height, idealHeight))
	c.FrameRate = prop.Float(cmp.Or(want.FPS, idealFPS))
	near := slices.DeleteFunc(slices.Clone(modes), func(m Mode) bool { return !m.Pixel.Supported() })
	miss := func(m Mode) float64 {
		d, _ := constraintDistance(m, c)
		if want.Pixel != 0 && m.Pixel != want.Pixel {
			d++
		}
		return d
	}
	slices.SortStableFunc(near, func(a, b Mode) int { return cmp.Compare(miss(a), miss(b)) })
	texts := make([]string, 0, 3)
	for _, m := range near[:min(3, len(near))] {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, ", ")
}
