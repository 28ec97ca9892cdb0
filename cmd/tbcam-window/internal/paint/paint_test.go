package paint

import (
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	s := NewStyle(1)
	for text, want := range map[string]string{
		"größer ← 50 Hz": "größer ← 50 Hz", "日本": "??", "a\x1b[2J\x00\tb": "a?[2J??b", "\xff": "\ufffd", "two\nlines": "two\nlines",
	} {
		if got := s.Body.Clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestWrap: no line is wider than it may be, and none of the text is lost.
func TestWrap(t *testing.T) {
	f := NewStyle(1).Body
	text := "saved /home/somebody/with/a/long/name/tbcam-20260102-150405.000.png and\n.jpg"
	for _, width := range []int{1, 60, 200, 10000} {
		lines := f.Wrap(text, width)
		for _, l := range lines {
			if f.Width(l) > width && len([]rune(l)) > 1 {
				t.Errorf("%q is wider than %d", l, width)
			}
		}
		join := strings.NewReplacer(" ", "", "\n", "")
		if got := join.Replace(strings.Join(lines, "")); got != join.Replace(text) {
			t.Errorf("%d: %q", width, lines)
		}
	}
	if got := f.Wrap(text, 10000); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestCut(t *testing.T) {
	f := NewStyle(1).Body
	if got := f.Cut("short", 100); got != "short" {
		t.Errorf("%q", got)
	}
	if got := f.Cut("much too long for that", 80); f.Width(got) > 80 || !strings.HasSuffix(got, "…") || len(got) < 8 {
		t.Errorf("%q", got)
	}
	if got := f.Cut("x", 0); got != "…" {
		t.Errorf("%q", got)
	}
}

func TestCeiling(t *testing.T) {
	calm := slices.Repeat([]float32{40}, 100)
	for _, c := range []struct {
		latency   []float32
		top, mark float64
	}{
		{nil, 10, 5},
		{[]float32{1}, 10, 5},
		{calm, 60, 30},
		{append(slices.Clone(calm), 900), 60, 30}, // one hiccup
		{slices.Repeat([]float32{300}, 9), 400, 200},
		{slices.Repeat([]float32{60000}, 9), 100000, 50000},
	} {
		if top, mark := roundCeiling(c.latency); top != c.top || mark != c.mark {
			t.Errorf("%v: %v and %v", c.latency, top, mark)
		}
	}
}

// TestSizes draws everything in rooms of all sizes and monitors of all scales:
// nothing is wider than its room.
func TestSizes(t *testing.T) {
	rows := []Row{{"F, double click", "full screen"}, {"Q", "quit"}, {"0", "whole frame"}}
	long := strings.Repeat("no room for this, ", 20)
	for _, scale := range []float64{1, 1.25, 2} {
		s := NewStyle(scale)
		for _, width := range []int{1, 50, 300, 2000} {
			for name, m := range map[string]*image.RGBA{
				"message":    s.Message("No signal\n"+long+"\nsince", width),
				"statistics": s.Statistics(make([]float32, 600), []string{long, "short"}, width),
				"pill":       s.Pill(long, width, Live),
				"joined":     Join(s.Pill(long, width, Live), s.Pill(long, width, Live), 8, width),
			} {
				if least := s.Px(60); m.Rect.Dx() > max(width, least) {
					t.Errorf("%s is %v in %d", name, m.Rect, width)
				}
			}
		}
		for columns := 1; columns <= 4; columns++ {
			if m := s.Help(rows, columns, 400); !opaque(m, Accent) || !opaque(m, Text) {
				t.Errorf("%d columns: there is no text", columns)
			}
		}
	}
}

// TestStatisticsFit: the box is as wide as its widest table, below each other as beside:
// nothing is cut off at its edge, where its room has place for it.
func TestStatisticsFit(t *testing.T) {
	s := NewStyle(1)
	lines := []string{
		"last second: p50 5.2, p95 20.5, p99 22.8, max 22.8 ms (±0.11)", "  frames shown  483", "superseded before sending  1",
		"Codec: raw (line has room for raw frames)", "latency, ms  p50  p95  p99  max", "total  3.24  10.57  18.94  32.00",
	}
	for _, width := range []int{320, 480, 624, 1280} {
		m := s.Statistics(make([]float32, 100), lines, width)
		edge := m.SubImage(image.Rect(m.Rect.Max.X-s.Px(6), s.Px(12), m.Rect.Max.X, m.Rect.Max.Y-s.Px(12))).(*image.RGBA)
		for y := edge.Rect.Min.Y; y < edge.Rect.Max.Y; y++ {
			for x := edge.Rect.Min.X; x < edge.Rect.Max.X; x++ {
				if c := edge.RGBAAt(x, y); c != Back {
					t.Fatalf("in %d: something is drawn at the right edge, at %d,%d of %v: %v", width, x, y, m.Rect, c)
				}
			}
		}
	}
}

// opaque reports whether a colour is somewhere in a frame.
func opaque(m *image.RGBA, c color.RGBA) bool {
	for i := 0; i < len(m.Pix); i += 4 {
		if m.RGBAAt(i/4%m.Rect.Dx(), i/4/m.Rect.Dx()) == c {
			return true
		}
	}
	return false
}

// TestFill: a round corner is smooth, and symmetric.
func TestFill(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 40, 30))
	Fill(m, m.Rect, 10, color.RGBA{255, 255, 255, 255})
	if m.RGBAAt(0, 0).A != 0 || m.RGBAAt(20, 0).A != 255 || m.RGBAAt(0, 15).A != 255 || m.RGBAAt(3, 3).A < 100 {
		t.Error("the corner is not round")
	}
	for y := range 15 {
		for x := range 20 {
			c := m.RGBAAt(x, y)
			if c != m.RGBAAt(39-x, y) || c != m.RGBAAt(x, 29-y) || c != m.RGBAAt(39-x, 29-y) {
				t.Fatalf("%d,%d differs from its mirror images", x, y)
			}
		}
	}
}

// TestContrast: all text can be read, also on a white frame behind the box and on a button:
// 4.5:1 and more (WCAG 2.1, 1.4.3).
func TestContrast(t *testing.T) {
	back := color.RGBA{A: 255}
	for i, c := range []*uint8{&back.R, &back.G, &back.B} {
		*c = []uint8{Back.R, Back.G, Back.B}[i] + 255 - Back.A
	}
	for name, ground := range map[string]color.RGBA{"box": back, "button": Raised} {
		for what, ink := range map[string]color.RGBA{"bright": Bright, "text": Text, "muted": Muted, "disabled": Dim, "keys": Accent} {
			if ratio := (luminance(ink) + 0.05) / (luminance(ground) + 0.05); ratio < 4.5 {
				t.Errorf("%s on a %s: %.2f", what, name, ratio)
			}
		}
	}
}

// luminance is the relative luminance of sRGB (WCAG 2.1).
func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		if x := float64(v) / 255; x > 0.04045 {
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return float64(v) / 255 / 12.92
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// TestMeter: the bar is as long as the sound is loud, in a colour that warns or rests, and
// the box of a narrow window is narrower.
func TestMeter(t *testing.T) {
	s := NewStyle(1)
	place := image.Rect(0, 0, 120, 20)
	for _, c := range []struct {
		meter  Meter
		length int
		colour color.RGBA
	}{
		{Meter{Level: -60, Flows: true}, 0, Accent}, {Meter{Level: -30, Flows: true}, 60, Accent},
		{Meter{Level: 0, Flows: true}, 120, Live}, {Meter{Level: -30, Flows: true, Muted: true}, 60, Faint},
		{Meter{Level: -30}, 0, Accent}, {Meter{Level: 12, Flows: true}, 120, Live},
	} {
		m := image.NewRGBA(place)
		s.DrawMeter(m, place, c.meter)
		length := 0
		for x := range place.Dx() {
			if m.RGBAAt(x, 10) == c.colour {
				length = x + 1
			}
		}
		if c.colour == Faint { // the marks are so, too
			length = min(length, c.length)
		}
		if length != c.length {
			t.Errorf("%+v: %d pixels, want %d", c.meter, length, c.length)
		}
	}
	if wide, narrow := s.Microphone(Meter{}, 1000).Rect.Dx(), s.Microphone(Meter{}, 284).Rect.Dx(); narrow > 284 || wide <= narrow {
		t.Errorf("it is %d wide, and %d in a narrow window", wide, narrow)
	}
}
