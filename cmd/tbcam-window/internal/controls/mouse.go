package controls

import (
	"image"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
)

// Wheel scrolls by a number of pixels, down if it is positive.
func (l *List) Wheel(pixels int) { l.layout.scroll += pixels }

// IsMute reports whether a point of the panel, as it was drawn last, is the switch of the
// microphone.
func (l *List) IsMute(at image.Point) bool { return l.Meter != nil && at.In(l.layout.mute) }

// Press acts on a press of the mouse at a point of the panel as it was drawn last.
func (l *List) Press(s *paint.Style, at image.Point) []Change {
	switch p := &l.layout; {
	case at.In(p.one):
		return l.resetControl(l.currentControl())
	case at.In(p.all):
		return l.resetAll()
	case at.In(p.rows):
		return l.pressRow(s, at)
	}
	return nil
}

func (l *List) pressRow(s *paint.Style, at image.Point) []Change {
	for i, row := range l.layout.row {
		if !at.In(row) {
			continue
		}
		l.chooseControl(i)
		c, w := &l.all[i], l.layout.widget[i]
		switch {
		case !isUsable(c) || !at.In(w):
			return nil
		case kindOf(c) == slider:
			l.dragged = true
			return l.dragSlider(s, c, at.X)
		case kindOf(c) == menu && at.X < w.Min.X+s.Px(18):
			return l.moveValue(c, -1)
		}
		return l.pressControl(c)
	}
	return nil
}

// Drag acts on a move of the mouse while its button is down. It need not return
// where the mouse is: Release does in the end.
func (l *List) Drag(s *paint.Style, at image.Point) []Change {
	if c := l.currentControl(); l.dragged && c != nil {
		return l.dragSlider(s, c, at.X)
	}
	return nil
}

// dragSlider shows the value at x, and returns it as a change if the last one is some
// time ago: a camera takes milliseconds for each.
func (l *List) dragSlider(s *paint.Style, c *capture.Control, x int) []Change {
	w := l.layout.widget[l.chosen]
	left, right := w.Min.X+s.Px(knob), w.Max.X-s.Px(knob)
	part := min(1, max(0, float64(x-left)/float64(max(1, right-left))))
	changes := l.setValue(c, snapToStep(c, float64(c.Min)+part*(float64(c.Max)-float64(c.Min))))
	if len(changes) == 0 || time.Since(l.sent) < pace {
		return nil
	}
	l.sent = time.Now()
	return changes
}

// Release ends a drag, and returns where it ended.
func (l *List) Release() []Change {
	c := l.currentControl()
	if !l.dragged || c == nil {
		return nil
	}
	l.dragged, l.sent = false, time.Time{}
	return []Change{{c.ID, l.shownValue(c)}}
}
