package meter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// total returns the total latency among the figures, 0 where there is none.
func total(f Figures) Latency {
	for _, l := range f.Latency {
		if l.Stage == StageNames[Total] {
			return l
		}
	}
	return Latency{}
}

// The last second is a second, however often and by whomever it is asked for; what
// was before it is forgotten there, and kept in the totals.
func TestLastSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		bytes := uint64(0)
		frames := func(n int, latency time.Duration) {
			for range n {
				time.Sleep(time.Second / time.Duration(n))
				at := [capture.NumStages]time.Time{capture.Captured: time.Now().Add(-latency)}
				m.Add(&at, time.Now())
				bytes += 1e5
				m.Report(bytes) // by another caller
			}
		}
		frames(20, 10*time.Millisecond)
		frames(20, 10*time.Millisecond)
		frames(10, 50*time.Millisecond)
		r := m.Report(bytes)
		last := r.LastSecond
		if last.Seconds < 0.9 || last.Seconds > 1.1 || last.FPS < 9 || last.FPS > 11 || last.MBps < 0.9 || last.MBps > 1.1 {
			t.Errorf("the last second is %+v", last)
		}
		if l := total(last); l.P50 < 49 || l.Max > 51 {
			t.Errorf("its latency is %+v", l)
		}
		if r.Frames != 50 || r.Seconds != 3 || total(r.Figures).P50 > 11 || total(r.Figures).Max < 49 {
			t.Errorf("the totals are %+v", r.Figures)
		}
		time.Sleep(3 * time.Second)
		if last := m.Report(bytes).LastSecond; last.Frames != 0 || len(last.Latency) != 0 {
			t.Errorf("a second without frames is %+v", last)
		}
	})
}

// A sender of an older version does not report when it began to encode.
func TestEncodingNotKnown(t *testing.T) {
	m := New()
	at := times(time.Now())
	at[capture.Taken] = time.Time{}
	m.Add(&at, at[capture.Decoded])
	for _, l := range m.Report(0).Latency {
		if want := map[string]float64{"encode": 6, "queue": 8}[l.Stage]; want != 0 && (l.P50 < want-0.1 || l.P50 > want+0.1) {
			t.Errorf("%s took %v ms, want %v", l.Stage, l.P50, want)
		}
	}
}

func TestNow(t *testing.T) {
	s := Summary{Clock: &Clock{Uncertainty: 0.0123}, Outcomes: []Outcome{{"lost on the link", 2}, {"not decodable", 0}}}
	s.LastSecond = Figures{FPS: 29.97, MBps: 4.5, CPU: 12, Latency: []Latency{{StageNames[Wire], 1, 2, 3, 4}, {StageNames[Total], 11, 12, 13, 14}}}
	want := "30.0 fps, 4.5 MB/s, 12 % CPU, latency p50 11.0 ms, p95 12.0, p99 13.0, max 14.0 (±0.01), lost on the link 2"
	if got := s.describeNow(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var table strings.Builder
	s.Latency = s.LastSecond.Latency
	if err := s.Table(&table); err != nil || !strings.Contains(table.String(), "clock: 0.01 ms") {
		t.Errorf("%v\n%s", err, &table)
	}
}
