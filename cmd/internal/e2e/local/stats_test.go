package local

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// TestStatistics: every frame has an outcome, and the last second has all stages, whose
// clock is known.
func TestStatistics(t *testing.T) {
	display := xvfb.Start(t)
	flag, _ := harness.NewSocket(t)
	v := harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--stats=json")
	harness.StartSender(t, flag, "--fps=60", "--codec=jpeg")
	harness.WaitUntil(t, "seconds with frames", func() bool { return harness.CountFrames(v) > 60 })
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	all := harness.ParseStats(t, v)
	last := all[len(all)-1]
	outcome := last.Outcomes
	ended := last.Frames + outcome["lost_on_the_link"] + outcome["not_decodable"] + outcome["superseded_before_showing"]
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

// lastStat returns the last object that a program has printed.
func lastStat(p *harness.Program) (s meter.Summary) {
	lines := strings.Split(strings.TrimSpace(p.Out.String()), "\n")
	_ = json.Unmarshal([]byte(lines[len(lines)-1]), &s) // there may be none yet
	return s
}

// TestStatisticsOfStates: both programs report what they do and why, and nothing is
// recorded while no sender is connected; the outcomes are documented.
func TestStatisticsOfStates(t *testing.T) {
	t.Parallel()
	flag, _ := harness.NewSocket(t)
	v := harness.StartRecordingViewer(t, flag)
	is := func(p *harness.Program, state meter.State) func() bool {
		return func() bool { return lastStat(p).State == state }
	}
	harness.WaitUntil(t, "a viewer that waits", is(v, meter.Waiting))
	if s := lastStat(v); s.Reason != "waiting for tbcam-send" || s.Mode != nil || s.Recorder.Recording {
		t.Errorf("%+v, recording %v", s, s.Recorder.Recording)
	}
	sender := harness.StartSender(t, flag, "--stats=json")
	for _, p := range []*harness.Program{v, sender} {
		harness.WaitUntil(t, "streaming", is(p, meter.Streaming))
		s := lastStat(p)
		if s.Camera != "Test pattern" || s.Mode == nil || s.Mode.Width != 320 || s.Mode.FPS != 30 || s.Reason != "" || time.Since(s.Time).Abs() > harness.Patience {
			t.Errorf("%s: %+v, mode %+v", s.Program, s, s.Mode)
		}
	}
	harness.WaitUntil(t, "a recording", func() bool { return lastStat(v).Recorder.Recording })
	page, err := os.ReadFile("../../../../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(lastStat(v).Outcomes, lastStat(sender).Outcomes...) {
		if !strings.Contains(string(page), "`"+o.Key()+"`") {
			t.Errorf("the outcome %s is not documented", o.Key())
		}
	}
	sender.Stop(syscall.SIGTERM)
	harness.WaitUntil(t, "a viewer that waits again", is(v, meter.Waiting))
	if s := lastStat(v); s.Recorder.Recording || s.Camera != "Test pattern" {
		t.Errorf("%+v, recording %v", s, s.Recorder.Recording)
	}
	v.Stop(syscall.SIGINT)
}
