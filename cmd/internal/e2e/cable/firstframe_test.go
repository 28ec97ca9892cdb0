//go:build cable && base

package cable

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/trust"
)

// firstFrame takes the times of the log line that the camera is on, and of the first frame.
type firstFrame struct {
	transport.NopConsumer
	on, came chan time.Time // of one
}

// Write takes what the sender logs.
func (c *firstFrame) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "camera is on") {
		noteTime(c.on)
	}
	return len(p), nil
}

func (c *firstFrame) Frame(f *capture.Frame, _ capture.Lost) {
	f.Release()
	noteTime(c.came)
}

func noteTime(times chan<- time.Time) {
	select {
	case times <- time.Now():
	default:
	}
}

// TestFirstFrame compares how long tbcam-send takes from its start to the viewer's first frame with that
// of another build, in $TBCAM_BASE, in turns: TBCAM_BASE_UNPROVEN=1 is one that proves nothing. A test camera
// has its first frame up to a period after it is turned on: so it is compared when that is, too.
func TestFirstFrame(t *testing.T) {
	base := os.Getenv("TBCAM_BASE")
	if base == "" {
		t.Fatal("TBCAM_BASE must be the directory of the other build's programs")
	}
	state := t.TempDir()
	known := knownTrust(t, filepath.Join(state, "tbcam"))
	unproven := known
	if os.Getenv("TBCAM_BASE_UNPROVEN") != "" {
		unproven = nil
	}
	var on, came [2][]time.Duration
	for range rounds(t, 20) {
		for i, bin := range []string{base, harness.Bin} {
			turnedOn, first := timeToFirstFrame(t, bin, state, []func() trust.ViewerConfig{unproven, known}[i])
			on[i], came[i] = append(on[i], turnedOn), append(came[i], first)
		}
	}
	for what, times := range map[string][2][]time.Duration{"camera on": on, "first frame": came} {
		ratio := float64(median(times[1])) / float64(median(times[0]))
		t.Logf("%s: %v in the median of %d starts, %v with the programs of %s, %.3f times as long; all are %v and %v",
			what, round(median(times[1])), len(times[1]), round(median(times[0])), base, ratio, times[1], times[0])
		if ratio > 1.05 {
			t.Errorf("%s: that is %.3f times as long", what, ratio)
		}
	}
}

// knownTrust has a sender that keeps its keys in a directory know a viewer, and the viewer it.
func knownTrust(t *testing.T, dir string) func() trust.ViewerConfig {
	t.Helper()
	sender, viewer := openStore(t, dir), openStore(t, t.TempDir())
	senderID, err := sender.Identity()
	if err != nil {
		t.Fatal(err)
	}
	viewerID, err := viewer.Identity()
	if err != nil {
		t.Fatal(err)
	}
	rights := trust.DefaultRights()
	if err := sender.Add(trust.Peer{Key: viewerID.Fingerprint(), Name: "desktop", Role: trust.RoleViewer, Rights: &rights}); err != nil {
		t.Fatal(err)
	}
	if err := viewer.Add(trust.Peer{Key: senderID.Fingerprint(), Name: "laptop", Role: trust.RoleSender}); err != nil {
		t.Fatal(err)
	}
	return func() trust.ViewerConfig {
		return trust.ViewerConfig{Config: trust.Config{Identity: viewerID, Store: viewer}}
	}
}

// timeToFirstFrame starts the tbcam-send of a directory while a viewer waits.
func timeToFirstFrame(t *testing.T, bin, state string, proof func() trust.ViewerConfig) (on, came time.Duration) {
	t.Helper()
	defer func(before string) { harness.Bin = before }(harness.Bin)
	harness.Bin = bin
	c := &firstFrame{on: make(chan time.Time, 1), came: make(chan time.Time, 1)}
	r := newReceiver(t, proof)
	stream, err := r.Open(c, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	end := inBackground(t, r)
	time.Sleep(500 * time.Millisecond) // until its device is open
	sender := harness.Prepare(t, "tbcam-send", "--camera=pattern", "--size=160x120", "--fps=30", "--codec=raw", "--stream="+theCable.sender)
	sender.Env, sender.Stderr = append(sender.Env, "XDG_STATE_HOME="+state), io.MultiWriter(&sender.Err, c)
	begun := time.Now()
	sender.Launch()
	select {
	case at := <-c.came:
		on, came = (<-c.on).Sub(begun), at.Sub(begun)
	case <-time.After(harness.Patience):
		t.Fatal("no frame came")
	}
	sender.Stop(syscall.SIGINT)
	end()
	time.Sleep(tbdev.SenderPause) // both are closed together for a while
	return on, came
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}
