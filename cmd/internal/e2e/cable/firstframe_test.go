//go:build cable && base

package cable

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/trust"
)

// firstFrames reports the first frame.
type firstFrames struct {
	transport.NopConsumer
	came chan time.Time
}

func (c *firstFrames) Frame(f *capture.Frame, _ capture.Lost) {
	f.Release()
	select {
	case c.came <- time.Now():
	default:
	}
}

// TestFirstFrame compares how long tbcam-send takes from its start to the viewer's first frame with that
// of another build, in $TBCAM_BASE, in turns: TBCAM_BASE_UNPROVEN=1 is one that proves nothing.
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
	var times [2][]time.Duration
	for range rounds(t, 20) {
		times[0] = append(times[0], timeToFirstFrame(t, base, state, unproven))
		times[1] = append(times[1], timeToFirstFrame(t, harness.Bin, state, known))
	}
	t.Logf("first frame: %v in the median of %d starts, %v with the programs of %s; all are %v and %v",
		round(median(times[1])), len(times[1]), round(median(times[0])), base, times[1], times[0])
	if ratio := float64(median(times[1])) / float64(median(times[0])); ratio > 1.05 {
		t.Errorf("that is %.3f times as long", ratio)
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
func timeToFirstFrame(t *testing.T, bin, state string, proof func() trust.ViewerConfig) time.Duration {
	t.Helper()
	defer func(before string) { harness.Bin = before }(harness.Bin)
	harness.Bin = bin
	c := &firstFrames{came: make(chan time.Time, 1)}
	r := newReceiver(t, proof)
	stream, err := r.Open(c, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	end := inBackground(t, r)
	time.Sleep(500 * time.Millisecond) // until its device is open
	begun := time.Now()
	sender := harness.Start(t, []string{"XDG_STATE_HOME=" + state}, "tbcam-send", "--camera=pattern", "--size=160x120", "--fps=30", "--codec=raw", "--stream="+theCable.sender)
	var took time.Duration
	select {
	case came := <-c.came:
		took = came.Sub(begun)
	case <-time.After(harness.Patience):
		t.Fatal("no frame came")
	}
	sender.Stop(syscall.SIGINT)
	end()
	time.Sleep(tbdev.SenderPause) // both are closed together for a while
	return took
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}
