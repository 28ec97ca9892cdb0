package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink/window"
)

// windowUpdater tells one window what changes while it is open, and nothing that it was
// told before: a message wakes it.
type windowUpdater struct {
	sink   *windowSink
	window *window.Window

	statistics bool // somebody looks at them
	recording  bool
	title      string
	shown      [2]int  // pictures in this second and in the last one
	fps        float64 // of those
}

// count notes what an event changes.
func (t *windowUpdater) count(e window.Event) {
	switch e.Kind {
	case window.Shown:
		t.shown[0]++
	case window.Statistics:
		if t.statistics = e.On; t.statistics {
			t.window.SetStatus(t.table())
		}
	}
}

// look tells of the title, the controls and the recording.
func (t *windowUpdater) look() {
	t.sink.mu.Lock()
	title := t.sink.title(t.fps)
	t.sink.mu.Unlock()
	if title != t.title {
		t.title = title
		t.window.SetTitle(title)
	}
	hooks := t.sink.connected()
	if hooks.controls != nil {
		t.window.SetControls(hooks.controls())
	}
	if hooks.recording == nil {
		return
	}
	if on := hooks.recording(); on != t.recording {
		t.recording = on
		t.window.SetRecording(on)
	}
}

// figures tells of what is counted.
func (t *windowUpdater) figures() {
	t.fps = float64(t.shown[0]+t.shown[1]) / (2 * statusEvery.Seconds())
	t.shown = [2]int{0, t.shown[0]}
	t.sink.checkStall()
	if t.statistics {
		t.window.SetStatus(t.table())
	}
}

// table returns the figures of the last second as a line, and as another one
// above the table of all, without the outcomes of no frame.
func (t *windowUpdater) table() []string {
	summary := t.sink.viewer.summary()
	summary.Outcomes = slices.DeleteFunc(summary.Outcomes, func(f meter.Outcome) bool { return f.Count == 0 })
	var table strings.Builder
	_ = summary.Table(&table) // a Builder never fails
	lines := strings.Split(strings.Trim(table.String(), "\n"), "\n")
	lines[0] = lastSecond(summary) // in the place of the heading
	return append([]string{t.line(summary)}, lines...)
}

// line returns what matters most of the last second.
func (t *windowUpdater) line(s meter.Summary) string {
	line := fmt.Sprintf("%.0f fps", t.fps)
	if l, ok := total(s); ok {
		line += fmt.Sprintf(" · %.0f ms, p99 %.0f ms", l.P50, l.P99)
	}
	return line + fmt.Sprintf(" · %.1f MB/s", s.LastSecond.MBps)
}

// lastSecond returns how old pictures were in the last second, and how well that
// is known.
func lastSecond(s meter.Summary) string {
	l, ok := total(s)
	if !ok {
		return "last second: no picture"
	}
	line := fmt.Sprintf("last second: p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms", l.P50, l.P95, l.P99, l.Max)
	if s.Clock != nil {
		line += fmt.Sprintf(" ±%.2f", s.Clock.Uncertainty)
	}
	return line
}

// total returns how old pictures were in the last second when they were shown.
func total(s meter.Summary) (meter.Latency, bool) {
	for _, l := range s.LastSecond.Latency {
		if l.Stage == meter.StageNames[meter.Total] {
			return l, true
		}
	}
	return meter.Latency{}, false
}
