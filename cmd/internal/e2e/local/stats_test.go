package local

import (
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
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
