//go:build cable

package cable

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/trust"
)

// TestPairingOverTheCable: two services refuse each other; once their users have paired them by the
// number, frames come; and who is forgotten is disconnected.
func TestPairingOverTheCable(t *testing.T) {
	senderState, viewerState := t.TempDir(), t.TempDir()
	file := filepath.Join(t.TempDir(), "a.mkv")
	viewer := harness.Start(t, []string{"XDG_STATE_HOME=" + viewerState}, "tbcam-view", "--stream="+theCable.viewer, "--stats=json", "--record="+file)
	sender := harness.Start(t, []string{"XDG_STATE_HOME=" + senderState}, "tbcam-send", "--camera=pattern", "--size=160x120", "--fps=5", "--codec=raw", "--stream="+theCable.sender)
	for _, p := range []*harness.Program{sender, viewer} {
		harness.WaitUntil(t, "a refusal", func() bool { return strings.Contains(p.Err.String(), "not paired") })
	}
	if harness.CountFrames(viewer) > 0 || strings.Contains(sender.Err.String(), "camera is on") {
		t.Error("a stranger has got frames")
	}
	pairServices(t, senderState, viewerState)
	watcher{viewer, file}.more(t, 3)
	wantForgotten(t, senderState, sender)
	if code := viewer.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(wantFrames(t, watcher{viewer, file})); n < 4 {
		t.Errorf("%d frames were recorded", n)
	}
}

// pairServices has both users run the pair command, and type what they read.
func pairServices(t *testing.T, senderState, viewerState string) {
	t.Helper()
	pair := func(state, program string) (*harness.Screen, *harness.Program) {
		s, p := harness.NewScreen(t), harness.Prepare(t, program, "pair")
		p.Env = append(p.Env, "XDG_STATE_HOME="+state)
		s.Connect(p)
		p.Launch()
		return s, p
	}
	viewer, viewerPair := pair(viewerState, "tbcam-view")
	sender, senderPair := pair(senderState, "tbcam-send")
	number := viewer.Await(t, `on the camera's host: (\d{3} \d{3})`)
	sender.Await(t, `(Type the six digits)`)
	sender.Answer(t, number)
	sender.Await(t, `(set the camera's controls)`)
	sender.Answer(t, "n")
	sender.Await(t, `(hear a microphone)`)
	sender.Answer(t, "n")
	viewer.Await(t, `(Did tbcam-send accept it)`)
	viewer.Answer(t, "y")
	for _, p := range []*harness.Program{senderPair, viewerPair} {
		if code := p.WaitExit(); code != 0 {
			t.Fatalf("%v: exit code %d", p.Args, code)
		}
	}
}

// wantForgotten forgets the sender's only viewer. Its session ends within a second, and what this slow
// machine adds.
func wantForgotten(t *testing.T, state string, sender *harness.Program) {
	t.Helper()
	store := openStore(t, filepath.Join(state, "tbcam"))
	peers, err := store.Peers()
	if err != nil || len(peers) != 1 {
		t.Fatalf("paired are %v, %v", peers, err)
	}
	forgot := time.Now()
	if _, err := store.Forget(trust.RoleViewer, peers[0].Name); err != nil {
		t.Fatal(err)
	}
	sender.WaitText("viewer disconnected")
	took := time.Since(forgot)
	t.Logf("forgotten: disconnected after %v", round(took))
	if took > 2*time.Second {
		t.Errorf("it was disconnected after %v", took)
	}
}

func openStore(t *testing.T, dir string) *trust.Store {
	t.Helper()
	store, err := trust.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestStrangerTurnsNoCameraOn: while a stranger asks for frames, for the list of cameras and for controls
// again and again, the kernel sees no request that prepares a camera's driver or starts it, which
// it sees for a computer that may watch.
func TestStrangerTurnsNoCameraOn(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	set(t, filepath.Join("/sys/class/video4linux", filepath.Base(camera), "dev_debug"), 1) // name each ioctl
	sender := harness.Start(t, nil, "tbcam-send", "--camera="+camera, "--size=320x180", "--fps=15", "--stream="+theCable.sender)
	sender.WaitText("offering")
	harness.RunTool(t, "dmesg", "--clear")
	askAsStranger(t, 2)
	if uses := usesOf(t, camera); len(uses) > 0 {
		t.Errorf("the camera was used: %q", uses)
	}
	viewer := theCable.view(t)
	viewer.more(t, 0)
	if uses := strings.Join(usesOf(t, camera), "\n"); !strings.Contains(uses, "VIDIOC_STREAMON") {
		t.Errorf("for a viewer that may watch, the kernel logs %q", uses)
	}
}

// usesOf returns what the kernel logged of requests that use a camera.
func usesOf(t *testing.T, camera string) (uses []string) {
	t.Helper()
	for _, line := range strings.Split(harness.RunTool(t, "dmesg"), "\n") {
		for _, request := range []string{"STREAMON", "REQBUFS", "S_FMT", "S_PARM", "S_CTRL", "S_EXT_CTRLS"} {
			if strings.Contains(line, filepath.Base(camera)+": VIDIOC_"+request) {
				uses = append(uses, line)
			}
		}
	}
	return uses
}

// askAsStranger has a viewer that nobody knows be refused so many times.
func askAsStranger(t *testing.T, times int32) {
	t.Helper()
	var refused atomic.Int32
	r := newReceiver(t, strangerTrust(t))
	r.Refused = func(error) { refused.Add(1) }
	v := &slowViewer{}
	stream, err := r.Open(v, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	defer inBackground(t, r)()
	listing, cancel := context.WithCancel(t.Context())
	go func() { _, _ = r.Cameras(listing) }()
	defer cancel()
	harness.WaitUntil(t, "refusals", func() bool { return refused.Load() >= times })
	if r.Stats().Sessions > 0 || len(v.ages) > 0 {
		t.Error("the stranger was served")
	}
}

// newReceiver returns a viewer at the cable.
func newReceiver(t *testing.T, proof func() trust.ViewerConfig) *transport.Receiver {
	link := &tbdev.Link{Resolve: func() (string, error) { return theCable.viewer, nil }, Pause: tbdev.ViewerPause, Log: slog.New(slog.DiscardHandler)}
	return &transport.Receiver{Link: link, Pool: &capture.Pool{}, Log: link.Log, Trust: proof}
}

// inBackground runs a receiver; end ends it and gives its device up.
func inBackground(t *testing.T, r *transport.Receiver) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.Link.Close(); err != nil {
			t.Error(err)
		}
	}
}
