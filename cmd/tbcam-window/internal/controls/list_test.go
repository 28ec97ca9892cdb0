package controls

import (
	"image"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
)

// camera has one control of each kind.
func camera() []capture.Control {
	return []capture.Control{
		{ID: 1, Name: "Brightness", Type: "int", Min: -64, Max: 64, Step: 4, Value: 0},
		{ID: 2, Name: "Auto Exposure", Type: "menu", Min: 0, Max: 3, Default: 3, Value: 3,
			Menu: []capture.ControlMenuItem{{Index: 1, Name: "Manual Mode"}, {Index: 3, Name: "Aperture Priority Mode"}}},
		{ID: 3, Name: "Exposure Time", Type: "int", Min: 3, Max: 2047, Step: 1, Default: 250, Value: 250, Inactive: true},
		{ID: 4, Name: "Gain", Type: "bool", Max: 1, Step: 1, Default: 1, Value: 0},
		{ID: 5, Name: "Do It", Type: "button"},
		{ID: 6, Name: "Mask", Type: "bitmask", Max: 255, Value: 3},
		{ID: 7, Name: "Large", Type: "int64", Min: math.MinInt64, Max: math.MaxInt64, Step: 1, Value: math.MaxInt64 - 1},
		{ID: 8, Name: "Last", Type: "int", Max: 10, Step: 3, Default: 3, Value: 3, ReadOnly: true},
	}
}

// press presses keys and returns what is to be set; "+" is Shift for the next.
func press(t *testing.T, l *List, keys ...string) (changes []Change) {
	t.Helper()
	shift := false
	for _, k := range keys {
		if k == "+" {
			shift = true
			continue
		}
		more, ok := l.Key(k, shift)
		if !ok {
			t.Errorf("%s means nothing", k)
		}
		changes, shift = append(changes, more...), false
	}
	return changes
}

func TestKeys(t *testing.T) {
	const up, down, left, right = "arrowup", "arrowdown", "arrowleft", "arrowright"
	for _, c := range []struct {
		keys []string
		want []Change
	}{
		{[]string{right, right, left}, []Change{{1, 4}, {1, 8}, {1, 4}}},
		{[]string{"+", right, "+", right, right}, []Change{{1, 40}, {1, 64}}},
		{[]string{"home", left, "end"}, []Change{{1, -64}, {1, 64}}},
		{[]string{right, "backspace", "backspace"}, []Change{{1, 4}, {1, 0}}},
		{[]string{up, down, right, left, left}, []Change{{2, 1}}}, // no further than the menu
		{[]string{down, "enter", "enter"}, []Change{{2, 1}, {2, 3}}},
		{[]string{down, "home", "end"}, []Change{{2, 1}, {2, 3}}},
		{[]string{down, down, right, "enter", "home", "backspace"}, nil}, // inactive
		{[]string{down, down, down, right, right, "enter", "enter", left}, []Change{{4, 1}, {4, 0}, {4, 1}, {4, 0}}},
		{[]string{down, down, down, down, "enter", "enter", right}, []Change{{5, 0}, {5, 0}}},
		{[]string{"pagedown", right, "enter"}, nil}, // a mask is only shown
		{[]string{"pagedown", down, right, right, "home", left}, []Change{{7, math.MaxInt64}, {7, math.MinInt64}}},
		{[]string{"pagedown", "pagedown", down, right}, nil}, // read-only
		{[]string{right, down, left, "+", "backspace"}, []Change{{1, 4}, {2, 1}, {1, 0}, {2, 3}, {4, 1}, {7, 0}}},
	} {
		var l List
		l.Set(camera())
		if got := press(t, &l, c.keys...); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.keys, got, c.want)
		}
	}
	var none List
	if got := press(t, &none, up, down, left, "enter", "end", "backspace", "+", "backspace"); got != nil {
		t.Errorf("without controls: %v", got)
	}
	if _, ok := none.Key("q", false); ok {
		t.Error("Q is the panel's")
	}
}

// TestHold: a chosen value is shown until the camera has had time to grant
// another one.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l List
		l.Set(camera())
		press(t, &l, "arrowright", "arrowright")
		granted := camera()
		granted[0].Value = 4
		l.Set(granted)
		if v := l.shownValue(&l.all[0]); v != 8 || l.Settle() {
			t.Errorf("%d is shown, not what was chosen", v)
		}
		time.Sleep(Hold)
		if settled, v := l.Settle(), l.shownValue(&l.all[0]); !settled || v != 4 {
			t.Errorf("%d is shown, not what was granted", v)
		}
	})
}

// TestSetKeepsTheChoice: another list of controls keeps the chosen one chosen.
func TestSetKeepsTheChoice(t *testing.T) {
	var l List
	l.Set(camera())
	press(t, &l, "arrowdown")
	l.Set(camera()[1:])
	if c := l.currentControl(); c.ID != 2 {
		t.Errorf("chosen is %+v", c)
	}
	l.Set(camera()[3:])
	if c := l.currentControl(); c.ID != 4 {
		t.Errorf("chosen is %+v", c)
	}
	l.Set(nil)
	if c := l.currentControl(); c != nil {
		t.Errorf("chosen is %+v", c)
	}
}

// middle returns a point in a widget, part of the way from left to right.
func (l *List) middle(i int, part float64) image.Point {
	w := l.layout.widget[i]
	return image.Pt(w.Min.X+int(part*float64(w.Dx()-1)), (w.Min.Y+w.Max.Y)/2)
}

func TestMouse(t *testing.T) {
	s := paint.NewStyle(1)
	for _, c := range []struct {
		what  string
		act   func(l *List) []Change
		want  []Change
		count int // the chosen one
	}{
		{"slider", func(l *List) []Change { return l.Press(s, l.middle(0, 1)) }, []Change{{1, 64}}, 0},
		{"beside it", func(l *List) []Change { return l.Press(s, l.layout.row[0].Min.Add(image.Pt(20, 4))) }, nil, 0},
		{"next choice", func(l *List) []Change { return l.Press(s, l.middle(1, 0.9)) }, []Change{{2, 1}}, 1},
		{"choice before", func(l *List) []Change { return l.Press(s, l.middle(1, 0)) }, []Change{{2, 1}}, 1},
		{"inactive", func(l *List) []Change { return l.Press(s, l.middle(2, 1)) }, nil, 2},
		{"switch", func(l *List) []Change { return l.Press(s, l.middle(3, 0.5)) }, []Change{{4, 1}}, 3},
		{"button", func(l *List) []Change { return l.Press(s, l.middle(4, 0.5)) }, []Change{{5, 0}}, 4},
		{"default", func(l *List) []Change {
			l.Press(s, l.middle(0, 0))
			l.Release()
			return l.Press(s, l.layout.one.Min)
		}, []Change{{1, 0}}, 0},
		{"all defaults", func(l *List) []Change { return l.Press(s, l.layout.all.Min) }, []Change{{4, 1}, {7, 0}}, 0},
		{"header", func(l *List) []Change { return l.Press(s, image.Pt(50, 5)) }, nil, 0},
		{"dragged without a press", func(l *List) []Change { return append(l.Drag(s, l.middle(0, 1)), l.Release()...) }, nil, 0},
	} {
		var l List
		l.Set(camera())
		l.Draw(s, 340, 600)
		if got := c.act(&l); !slices.Equal(got, c.want) || l.chosen != c.count {
			t.Errorf("%s: %v, want %v; chosen is %d", c.what, got, c.want, l.chosen)
		}
	}
}

// TestDrag: the camera gets values at a pace that it can follow, and the last one.
func TestDrag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := paint.NewStyle(1)
		var l List
		l.Set(camera())
		l.Draw(s, 340, 600)
		changes := l.Press(s, l.middle(0, 0.5))
		for i := range 100 {
			changes = append(changes, l.Drag(s, l.middle(0, 0.5+float64(i)/200))...)
			time.Sleep(5 * time.Millisecond)
		}
		changes = append(changes, l.Release()...)
		if n := len(changes); n < 5 || n > 12 || changes[n-1] != (Change{1, 64}) {
			t.Errorf("%v", changes)
		}
	})
}

// TestScroll: the chosen control is always seen, and the wheel stops at the ends.
func TestScroll(t *testing.T) {
	s := paint.NewStyle(1)
	var l List
	l.Set(camera())
	for range 2 * len(camera()) {
		press(t, &l, "arrowdown")
		l.Draw(s, 340, 200)
		if row := l.layout.row[l.chosen]; !row.In(l.layout.rows) {
			t.Errorf("row %d at %v is not in %v", l.chosen, row, l.layout.rows)
		}
	}
	for _, c := range []struct{ wheel, scroll int }{{-10000, 0}, {10, 10}, {10000, l.layout.longest}} {
		l.Wheel(c.wheel)
		if l.Draw(s, 340, 200); l.layout.scroll != c.scroll {
			t.Errorf("scrolled to %d, not %d", l.layout.scroll, c.scroll)
		}
	}
}

// TestOddSizes draws in windows that are too small for anything, and menus and
// ranges that make no sense.
func TestOddSizes(t *testing.T) {
	odd := append(camera(),
		capture.Control{ID: 20, Name: "", Type: "menu"},
		capture.Control{ID: 21, Name: "日本\x00", Type: "int", Min: 5, Max: 5},
		capture.Control{ID: 22, Type: "int", Min: 9, Max: -9, Value: 100},
		capture.Control{ID: 23, Type: "unheard of"})
	var l List
	l.Set(odd)
	for _, size := range []image.Point{{1, 1}, {20, 20}, {340, 60}, {340, 2000}} {
		l.Draw(paint.NewStyle(1.25), size.X, size.Y)
		for i := range odd {
			l.chooseControl(i)
			press(t, &l, "arrowleft", "arrowright", "enter", "home", "end", "backspace")
			l.Press(paint.NewStyle(1), l.middle(i, 0.5))
			l.Release()
		}
	}
}
