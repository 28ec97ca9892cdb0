package controls

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// Change is a value that a control is to get.
type Change struct {
	ID    uint32
	Value int64
}

// Hold is how long the list shows what its user chose while the camera has not
// reported what it made of that.
const Hold = 700 * time.Millisecond

// pace is the least time between two changes while a slider is dragged.
const pace = 50 * time.Millisecond

// many is how many steps a change with Shift makes.
const many = 10

// List is the controls of a camera, of which one is chosen. It is for one
// goroutine. The zero value is an empty list.
type List struct {
	all    []capture.Control
	held   map[uint32]held
	chosen int
	layout layout // as it was drawn last

	dragged bool      // the chosen slider is being dragged
	sent    time.Time // the last change while dragging
}

// held is a value that the camera has not confirmed.
type held struct {
	value int64
	since time.Time
}

// Set replaces the list by what the camera reports.
func (l *List) Set(all []capture.Control) {
	var id uint32
	if c := l.current(); c != nil {
		id = c.ID
	}
	l.all = all
	l.chosen = max(0, slices.IndexFunc(all, func(c capture.Control) bool { return c.ID == id }))
	if c := l.current(); c == nil || c.ID != id {
		l.dragged = false
	}
}

func (l *List) current() *capture.Control {
	if l.chosen >= len(l.all) {
		return nil
	}
	return &l.all[l.chosen]
}

// value returns what is shown: what the user chose a moment ago, or else what
// the camera has.
func (l *List) value(c *capture.Control) int64 {
	if h, ok := l.held[c.ID]; ok {
		return h.value
	}
	return c.Value
}

// Settle gives up values that the camera has had the time to confirm, and reports
// whether there were any.
func (l *List) Settle() bool {
	before := len(l.held)
	maps.DeleteFunc(l.held, func(_ uint32, h held) bool { return time.Since(h.since) >= Hold })
	return len(l.held) < before
}

// kind is what a control looks like.
type kind int

const (
	plain kind = iota // only shown: strings, masks
	slider
	toggle
	menu
	button
)

func kindOf(c *capture.Control) kind {
	switch {
	case c.Type == "int" || c.Type == "int64":
		return slider
	case c.Type == "bool":
		return toggle
	case (c.Type == "menu" || c.Type == "intmenu") && len(c.Menu) > 0:
		return menu
	case c.Type == "button":
		return button
	}
	return plain
}

// usable reports whether a control can be changed now.
func usable(c *capture.Control) bool {
	return c != nil && !c.ReadOnly && !c.Inactive && kindOf(c) != plain
}

// altered reports whether a control that can be changed is not at its default.
func (l *List) altered(c *capture.Control) bool {
	return usable(c) && kindOf(c) != button && l.value(c) != c.Default
}

// Key acts on a key, by ebiten's name in lower case, and returns what is to be
// set; ok is false if the key means nothing here.
func (l *List) Key(name string, shift bool) (changes []Change, ok bool) {
	steps := 1
	if shift {
		steps = many
	}
	c := l.current()
	switch name {
	case "arrowup":
		l.choose(l.chosen - 1)
	case "arrowdown":
		l.choose(l.chosen + 1)
	case "pageup":
		l.choose(l.chosen - 5)
	case "pagedown":
		l.choose(l.chosen + 5)
	case "arrowleft":
		changes = l.move(c, -steps)
	case "arrowright":
		changes = l.move(c, steps)
	case "home":
		changes = l.extreme(c, false)
	case "end":
		changes = l.extreme(c, true)
	case "enter", "numpadenter":
		changes = l.press(c)
	case "backspace":
		if shift {
			changes = l.resetAll()
		} else {
			changes = l.reset(c)
		}
	default:
		return nil, false
	}
	return changes, true
}

// choose makes the control with a number the chosen one, and brings it into view.
func (l *List) choose(i int) {
	l.chosen = max(0, min(i, len(l.all)-1))
	l.Reveal()
}

// Reveal scrolls to the chosen control when the panel is drawn next.
func (l *List) Reveal() { l.layout.reveal = true }

// move changes a control by steps: of its own, of its menu, or off and on.
func (l *List) move(c *capture.Control, steps int) []Change {
	if !usable(c) {
		return nil
	}
	switch v := l.value(c); kindOf(c) {
	case slider:
		return l.set(c, snap(c, float64(v)+float64(steps)*step(c)))
	case toggle:
		return l.set(c, int64(max(0, min(steps, 1))))
	case menu:
		return l.set(c, c.Menu[max(0, min(l.item(c)+steps, len(c.Menu)-1))].Index)
	}
	return nil
}

// item returns the number of the current choice of a menu; at least one is there.
func (l *List) item(c *capture.Control) int {
	v := l.value(c)
	return max(0, slices.IndexFunc(c.Menu, func(m capture.ControlMenuItem) bool { return m.Index == v }))
}

func (l *List) extreme(c *capture.Control, most bool) []Change {
	switch {
	case !usable(c):
		return nil
	case kindOf(c) == slider && most:
		return l.set(c, c.Max)
	case kindOf(c) == slider:
		return l.set(c, c.Min)
	case most:
		return l.move(c, len(c.Menu)+1)
	}
	return l.move(c, -len(c.Menu))
}

// press does what a click on a switch, menu or button does.
func (l *List) press(c *capture.Control) []Change {
	if !usable(c) {
		return nil
	}
	switch kindOf(c) {
	case toggle:
		return l.set(c, 1-min(1, max(0, l.value(c))))
	case menu: // after the last choice comes the first
		return l.set(c, c.Menu[(l.item(c)+1)%len(c.Menu)].Index)
	case button:
		return []Change{{ID: c.ID}}
	}
	return nil
}

func (l *List) reset(c *capture.Control) []Change {
	if c == nil || !l.altered(c) {
		return nil
	}
	return l.set(c, c.Default)
}

// resetAll returns every control to its default. What depends on another control
// comes after it in a driver's order.
func (l *List) resetAll() (changes []Change) {
	for i := range l.all {
		changes = append(changes, l.reset(&l.all[i])...)
	}
	return changes
}

// set shows a value and returns the change, if it is one.
func (l *List) set(c *capture.Control, v int64) []Change {
	if v == l.value(c) {
		return nil
	}
	if l.held == nil {
		l.held = make(map[uint32]held)
	}
	l.held[c.ID] = held{v, time.Now()}
	return []Change{{c.ID, v}}
}

func step(c *capture.Control) float64 { return float64(max(1, c.Step)) }

// snap returns the value nearest to v that the control can have.
func snap(c *capture.Control, v float64) int64 {
	steps := math.Round((v - float64(c.Min)) / step(c))
	switch v = float64(c.Min) + steps*step(c); {
	case v >= float64(c.Max):
		return c.Max
	case v <= float64(c.Min):
		return c.Min
	}
	return int64(v)
}

// part returns where in its range the value of a slider lies, 0 to 1.
func (l *List) part(c *capture.Control, v int64) float64 {
	length := float64(c.Max) - float64(c.Min)
	return min(1, max(0, (float64(v)-float64(c.Min))/cmp.Or(length, 1)))
}
