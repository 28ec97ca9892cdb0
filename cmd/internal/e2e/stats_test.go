package e2e

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// statLine is a line of --stats json.
type statLine struct {
	Frames     int
	LastSecond struct {
		FPS     float64
		Latency []struct {
			Stage string
			P50   float64 `json:"p50_ms"`
			Max   float64 `json:"max_ms"`
		}
	} `json:"last_second"`
	Clock *struct {
		Uncertainty float64 `json:"uncertainty_ms"`
	}
	Outcomes []struct {
		Outcome string
		Frames  int
	}
}

// summaries returns all lines that the program has printed.
func summaries(t *testing.T, p *program) []statLine {
	t.Helper()
	var all []statLine
	for _, line := range strings.Split(strings.TrimSpace(p.stdout.String()), "\n") {
		var s statLine
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, s)
	}
	return all
}

// TestStatistics: every frame has an outcome, and the last second has all stages, whose
// clock is known.
func TestStatistics(t *testing.T) {
	display := xvfb.Start(t)
	flag, _ := socket(t)
	v := start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--stats=json")
	sender(t, flag, "--fps=60", "--codec=jpeg")
	until(t, "seconds with pictures", func() bool { return frames(v) > 60 })
	if code := v.end(syscall.SIGINT); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	all := summaries(t, v)
	last := all[len(all)-1]
	outcome := map[string]int{}
	for _, f := range last.Outcomes {
		outcome[f.Outcome] = f.Frames
	}
	ended := last.Frames + outcome["lost on the link"] + outcome["not decodable"] + outcome["superseded before showing"]
	if onTheWay := outcome["sent"] - ended; onTheWay < 0 || onTheWay > 6 {
		t.Errorf("of %d frames sent %d have an outcome: %+v", outcome["sent"], ended, last)
	}
	if last.Clock == nil || last.Clock.Uncertainty <= 0 || last.Clock.Uncertainty > 50 {
		t.Errorf("the clock is %+v", last.Clock)
	}
	stages := map[string]bool{}
	for _, l := range all[len(all)-2].LastSecond.Latency {
		stages[l.Stage] = l.Max >= l.P50
	}
	for _, stage := range []string{"driver", "queue", "encode", "wire", "decode", "show", "total"} {
		if !stages[stage] {
			t.Errorf("the last second lacks %s: %+v", stage, all[len(all)-2])
		}
	}
}
