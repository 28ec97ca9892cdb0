package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink/window"
)

// windowUpdater counts what one window shows while it is open, and updates the
// figures in it.
type windowUpdater struct {
	output  *windowOutput
	window  *window.Window
	ticker  *time.Ticker // for updateFigures
	stopped bool         // the ticker: nothing changes by itself

	statistics bool    // somebody looks at them
	shown      [2]int  // frames in this second and in the last one
	fps        float64 // of those
}

func newWindowUpdater(output *windowOutput, w *window.Window) *windowUpdater {
	return &windowUpdater{output: output, window: w, ticker: time.NewTicker(statusEvery)}
}

// wake has the figures updated again from now on.
func (u *windowUpdater) wake() {
	if u.stopped {
		u.stopped = false
		u.ticker.Reset(statusEvery)
	}
}

// countEvent notes what an event changes.
func (u *windowUpdater) countEvent(e window.Event) {
	u.wake()
	switch e.Kind {
	case window.Shown:
		u.shown[0]++
	case window.Statistics:
		if u.statistics = e.On; u.statistics {
			u.window.SetStatus(u.tableLines())
		}
	}
}

// updateFigures updates what is counted: the statistics, and the rate in the title. A
// window in which nothing is shown is left alone until something happens.
func (u *windowUpdater) updateFigures() {
	u.fps = float64(u.shown[0]+u.shown[1]) / (2 * statusEvery.Seconds())
	u.shown = [2]int{0, u.shown[0]}
	u.output.checkStall()
	u.output.checkSilence()
	stalls := u.output.setRate(u.fps)
	if u.statistics {
		u.window.SetStatus(u.tableLines())
	}
	if u.stopped = u.fps == 0 && !u.statistics && !stalls && !u.output.Listens(); u.stopped {
		u.ticker.Stop()
	}
}

// setRate sets the rate in the title, and reports whether frames should be coming.
func (s *windowOutput) setRate(fps float64) (mayStall bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fps = fps
	s.updateTitle()
	return s.mayStall()
}

// tableLines returns the figures of the last second as a line, and as another one
// above the table of all, without the outcomes of no frame.
func (u *windowUpdater) tableLines() []string {
	summary := u.output.summary()
	summary.Outcomes = slices.DeleteFunc(summary.Outcomes, func(f meter.Outcome) bool { return f.Count == 0 })
	var table strings.Builder
	_ = summary.Table(&table) // a Builder never fails
	lines := strings.Split(strings.Trim(table.String(), "\n"), "\n")
	lines[0] = lastSecond(summary) // in the place of the heading
	return append([]string{u.summaryLine(summary)}, lines...)
}

// summaryLine returns what matters most of the last second.
func (u *windowUpdater) summaryLine(s meter.Summary) string {
	line := fmt.Sprintf("%.0f fps", u.fps)
	if l, ok := totalLatency(s); ok {
		line += fmt.Sprintf(" · %.0f ms, p99 %.0f ms", l.P50, l.P99)
	}
	return line + fmt.Sprintf(" · %.1f MB/s", s.LastSecond.MBps)
}

// lastSecond returns how old frames were in the last second, and how well that
// is known.
func lastSecond(s meter.Summary) string {
	l, ok := totalLatency(s)
	if !ok {
		return "last second: no frames"
	}
	line := fmt.Sprintf("last second: p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms", l.P50, l.P95, l.P99, l.Max)
	if s.Clock != nil {
		line += fmt.Sprintf(" ±%.2f", s.Clock.Uncertainty)
	}
	return line
}

// totalLatency returns how old frames were in the last second when they were shown.
func totalLatency(s meter.Summary) (meter.Latency, bool) {
	for _, l := range s.LastSecond.Latency {
		if l.Stage == meter.StageNames[meter.Total] {
			return l, true
		}
	}
	return meter.Latency{}, false
}
