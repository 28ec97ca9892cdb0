package controls

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
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
	Meter  *paint.Meter // of the microphone, nil for none
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
	if c := l.currentControl(); c != nil {
		id = c.ID
	}
	l.all = all
	l.chosen = max(0, slices.IndexFunc(all, func(c capture.Control) bool { return c.ID == id }))
	if c := l.currentControl(); c == nil || c.ID != id {
		l.dragged = false
	}
}

func (l *List) currentControl() *capture.Control {
	if l.chosen >= len(l.all) {
		return nil
	}
	return &l.all[l.chosen]
}

// shownValue returns what is shown: what the user chose a moment ago, or else what
// the camera has.
func (l *List) shownValue(c *capture.Control) int64 {
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

// isUsable reports whether a control can be changed now.
func isUsable(c *capture.Control) bool {
	return c != nil && !c.ReadOnly && !c.Inactive && kindOf(c) != plain
}

// isAltered reports whether a control that can be changed is not at its default.
func (l *List) isAltered(c *capture.Control) bool {
	return isUsable(c) && kindOf(c) != button && l.shownValue(c) != c.Default
}

// Key acts on a key, by ebiten's name in lower case, and returns what is to be
// set; ok is false if the key means nothing here.
func (l *List) Key(name string, shift bool) (changes []Change, ok bool) {
	steps := 1
	if shift {
		steps = many
	}
	c := l.currentControl()
	switch name {
	case "arrowup":
		l.chooseControl(l.chosen - 1)
	case "arrowdown":
		l.chooseControl(l.chosen + 1)
	case "pageup":
		l.chooseControl(l.chosen - 5)
	case "pagedown":
		l.chooseControl(l.chosen + 5)
	case "arrowleft":
		changes = l.moveValue(c, -steps)
	case "arrowright":
		changes = l.moveValue(c, steps)
	case "home":
		changes = l.setExtreme(c, false)
	case "end":
		changes = l.setExtreme(c, true)
	case "enter", "numpadenter":
		changes = l.pressControl(c)
	case "backspace":
		if shift {
			changes = l.resetAll()
		} else {
			changes = l.resetControl(c)
		}
	default:
		return nil, false
	}
	return changes, true
}

// chooseControl makes the control with a number the chosen one, and brings it into view.
func (l *List) chooseControl(i int) {
	l.chosen = max(0, min(i, len(l.all)-1))
	l.Reveal()
}

// Reveal scrolls to the chosen control when the panel is drawn next.
func (l *List) Reveal() { l.layout.reveal = true }

// moveValue changes a control by steps: of its own, of its menu, or off and on.
func (l *List) moveValue(c *capture.Control, steps int) []Change {
	if !isUsable(c) {
		return nil
	}
	switch v := l.shownValue(c); kindOf(c) {
	case slider:
		return l.setValue(c, snapToStep(c, float64(v)+float64(steps)*stepOf(c)))
	case toggle:
		return l.setValue(c, int64(max(0, min(steps, 1))))
	case menu:
		return l.setValue(c, c.Menu[max(0, min(l.currentItem(c)+steps, len(c.Menu)-1))].Index)
	}
	return nil
}

// currentItem returns the number of the current choice of a menu; at least one is there.
func (l *List) currentItem(c *capture.Control) int {
	v := l.shownValue(c)
	return max(0, slices.IndexFunc(c.Menu, func(m capture.ControlMenuItem) bool { return m.Index == v }))
}

func (l *List) setExtreme(c *capture.Control, most bool) []Change {
	switch {
	case !isUsable(c):
		return nil
	case kindOf(c) == slider && most:
		return l.setValue(c, c.Max)
	case kindOf(c) == slider:
		return l.setValue(c, c.Min)
	case most:
		return l.moveValue(c, len(c.Menu)+1)
	}
	return l.moveValue(c, -len(c.Menu))
}

// pressControl does what a click on a switch, menu or button does.
func (l *List) pressControl(c *capture.Control) []Change {
	if !isUsable(c) {
		return nil
	}
	switch kindOf(c) {
	case toggle:
		return l.setValue(c, 1-min(1, max(0, l.shownValue(c))))
	case menu: // after the last choice comes the first
		return l.setValue(c, c.Menu[(l.currentItem(c)+1)%len(c.Menu)].Index)
	case button:
		return []Change{{ID: c.ID}}
	}
	return nil
}

func (l *List) resetControl(c *capture.Control) []Change {
	if c == nil || !l.isAltered(c) {
		return nil
	}
	return l.setValue(c, c.Default)
}

// resetAll returns every control to its default. What depends on another control
// comes after it in a driver's order.
func (l *List) resetAll() (changes []Change) {
	for i := range l.all {
		changes = append(changes, l.resetControl(&l.all[i])...)
	}
	return changes
}

// setValue shows a value and returns the change, if it is one.
func (l *List) setValue(c *capture.Control, v int64) []Change {
	if v == l.shownValue(c) {
		return nil
	}
	if l.held == nil {
		l.held = make(map[uint32]held)
	}
	l.held[c.ID] = held{v, time.Now()}
	return []Change{{c.ID, v}}
}

func stepOf(c *capture.Control) float64 { return float64(max(1, c.Step)) }

// snapToStep returns the value nearest to v that the control can have.
func snapToStep(c *capture.Control, v float64) int64 {
	steps := math.Round((v - float64(c.Min)) / stepOf(c))
	switch v = float64(c.Min) + steps*stepOf(c); {
	case v >= float64(c.Max):
		return c.Max
	case v <= float64(c.Min):
		return c.Min
	}
	return int64(v)
}

// partOfRange returns where in its range the value of a slider lies, 0 to 1.
func (l *List) partOfRange(c *capture.Control, v int64) float64 {
	length := float64(c.Max) - float64(c.Min)
	return min(1, max(0, (float64(v)-float64(c.Min))/cmp.Or(length, 1)))
}
