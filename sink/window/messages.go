package window

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Texts for the window are cut so that it fits into a message, whatever
// characters it has.
const (
	maxText     = 300      // bytes of a title, a message, a notice or the line of statistics
	maxLine     = 100      // bytes of a line of their table
	maxStatus   = 24       // lines
	maxControls = 36 << 10 // bytes of JSON
)

// SetTitle sets the text of the title bar.
func (w *Window) SetTitle(title string) {
	title = clipText(title, maxText)
	w.out.putChange(func(u *shm.Update) { u.Title = &title })
}

// SetMessage shows a text over the dimmed frame: a heading, and below it lines
// of detail; "" ends that.
func (w *Window) SetMessage(message string) {
	message = clipText(message, maxText)
	w.out.putChange(func(u *shm.Update) { u.Message = &message })
}

// Notice shows a text for a moment.
func (w *Window) Notice(text string) {
	text = clipText(text, maxText)
	w.out.putChange(func(u *shm.Update) { u.Notice = &text })
}

// SetRecording shows whether there is a recording.
func (w *Window) SetRecording(on bool) {
	w.out.putChange(func(u *shm.Update) { u.Recording = &on })
}

// SetMicrophone shows how the far microphone is heard. Until it is called there is none.
func (w *Window) SetMicrophone(m shm.Microphone) {
	w.out.putChange(func(u *shm.Update) { u.Microphone = &m })
}

// SetStatus sets the statistics: a line for all, and the lines of a table.
func (w *Window) SetStatus(lines []string) {
	clipped := make([]string, min(len(lines), maxStatus))
	limit := maxText
	for i := range clipped {
		clipped[i] = clipText(lines[i], limit)
		limit = maxLine
	}
	w.out.putChange(func(u *shm.Update) { u.Status = &clipped })
}

// AddLatency adds to the graph how long the frame that was shown last was under
// way. The window gets it with the next frame and is not woken for it.
func (w *Window) AddLatency(d time.Duration) {
	ms := float32(math.Round(d.Seconds()*1e4) / 10)
	w.out.encloseMore(shm.Update{Latency: []float32{ms}})
}

// SetControls sets the controls of the camera. The window gets changes alone,
// and of no more controls than fit into a message.
func (w *Window) SetControls(all []capture.Control) {
	w.mu.Lock()
	same := w.controls != nil && reflect.DeepEqual(all, w.controls)
	w.controls = append(make([]capture.Control, 0, len(all)), all...)
	w.mu.Unlock()
	if same {
		return
	}
	fitting := fitControls(all, maxControls)
	w.out.putChange(func(u *shm.Update) { u.Controls = &fitting })
}

// fitControls returns the first of the controls, of which the JSON is no longer than room.
func fitControls(all []capture.Control, room int) []capture.Control {
	fitting := make([]capture.Control, 0, len(all))
	for _, c := range all {
		text, err := json.Marshal(c)
		if room -= len(text) + len(","); err != nil || room < 0 {
			break
		}
		fitting = append(fitting, c)
	}
	return fitting
}

func clipText(s string, limit int) string {
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}
