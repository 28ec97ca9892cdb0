package meter

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// times returns stages that are 1, 2, 4, 8, 16 and 32 ms apart.
func times(begin time.Time) (at [capture.NumStages]time.Time) {
	step := time.Millisecond
	for stage := range at {
		at[stage] = begin
		begin = begin.Add(step)
		step *= 2
	}
	return at
}

func TestStages(t *testing.T) {
	m := New()
	at := times(time.Now())
	m.Add(&at, at[capture.Decoded].Add(64*time.Millisecond))
	r := m.Report(1e6)
	want := map[string]float64{"driver": 1, "queue": 2 + 8, "encode": 4, "wire": 16, "decode": 32, "show": 64, "total": 127}
	if len(r.Latency) != len(want) || r.Frames != 1 {
		t.Fatalf("the report is %+v", r)
	}
	for _, l := range r.Latency {
		if d := l.P50 - want[l.Stage]; d < -0.1 || d > 0.1 || l.Max < l.P50 {
			t.Errorf("%s took %v ms, want %v", l.Stage, l.P50, want[l.Stage])
		}
	}
}

// TestUnknownStages: a raw frame is not decoded, and a time that is not known is
// no time.
func TestUnknownStages(t *testing.T) {
	m := New()
	var at [capture.NumStages]time.Time
	at[capture.Received] = time.Now()
	m.Add(&at, at[capture.Received].Add(5*time.Millisecond))
	r := m.Report(0)
	if len(r.Latency) != 1 || r.Latency[0].Stage != "show" || r.Latency[0].P50 < 4.9 {
		t.Errorf("the report is %+v", r)
	}
}

func TestSummary(t *testing.T) {
	m := New()
	at := times(time.Now())
	m.Add(&at, at[capture.Decoded])
	s := Summary{Program: "tbcam-view", Counted: "shown", Report: m.Report(1), Outcomes: SenderOutcomes(capture.Lost{Driver: 3})}
	var text, line, object strings.Builder
	for name, err := range map[string]error{"table": s.Table(&text), "line": s.Line(&line), "json": s.JSON(&object)} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, want := range []string{"frames shown", "dropped by the camera", "p99", "total"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &text)
		}
	}
	if !strings.Contains(line.String(), "1 frames shown") || !strings.Contains(line.String(), "dropped by the camera 3") {
		t.Errorf("the line is %q", &line)
	}
	var back map[string]any
	if err := json.Unmarshal([]byte(object.String()), &back); err != nil || back["counted"] != "shown" {
		t.Errorf("the object is %v, %v", back, err)
	}
}

// TestSensibleDigits: JSON has no digits that mean nothing, and outcomes by their keys.
func TestSensibleDigits(t *testing.T) {
	s := Summary{
		Program: "tbcam-view", State: NoSignal, Reason: "camera is unplugged", Mode: &Mode{"mjpeg", 640, 480, 30000.0 / 1001},
		Report: Report{Figures: Figures{Seconds: 1.00049999, FPS: 29.9712345, MBps: 3.14159265, CPU: 12.3456, Latency: []Latency{{"total", 1.23456, 2, 3, 4}}}},
		Clock:  &Clock{1.0000001, 0.01049}, Outcomes: Outcomes{{"lost on the link", 2}, {"no EOI", 1}},
	}
	var b strings.Builder
	if err := s.JSON(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"state":"no_signal","reason":"camera is unplugged"`, `"fps":29.97}`, `"seconds":1,`, `"fps":29.97,"mb_per_s":3.142,"cpu_percent":12.3,`,
		`"p50_ms":1.235,`, `"clock":{"offset_ms":1,"uncertainty_ms":0.01}`, `"outcomes":{"lost_on_the_link":2,"no_eoi":1}`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %s", b.String(), want)
		}
	}
	var back Summary
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || len(back.Outcomes) != 2 || back.Outcomes[0] != (Outcome{"lost on the link", 2}) {
		t.Errorf("%v: %+v", err, back.Outcomes)
	}
	if s.Latency[0].P50 != 1.23456 {
		t.Error("the figures themselves were rounded")
	}
}
