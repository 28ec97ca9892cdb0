package local

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/otheruser"
)

// TestStrangerAtSocket: who binds the path first gets no frame, and is named.
func TestStrangerAtSocket(t *testing.T) {
	path := filepath.Join(otheruser.SharedDir(t), "s")
	var l net.Listener
	var err error
	otheruser.Do(t, func() { l, err = net.Listen("unix", path) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := harness.Start(t, nil, "tbcam-send", "--camera=pattern", "--stream=unix:"+path)
	if code, output := s.WaitExit(), s.Err.String(); code != 6 || !strings.Contains(output, "user: "+otheruser.Name) || !strings.Contains(output, "--allow-user") {
		t.Errorf("exit code %d, %q", code, output)
	}
	for _, args := range [][]string{{"--stream=/dev/null", "--allow-user=root"}, {"--stream=unix:" + path, "--allow-user=nobody's"}} {
		if code := harness.Start(t, nil, "tbcam-send", append(args, "--camera=pattern")...).WaitExit(); code != 2 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}

// TestAllowedUser: a sender of another user serves a viewer that allows it, and no
// other one.
func TestAllowedUser(t *testing.T) {
	dir := otheruser.SharedDir(t)
	flag := "--stream=unix:" + filepath.Join(dir, "s")
	v := harness.Start(t, nil, "tbcam-view", flag, "--stats=json", "--record="+filepath.Join(dir, "a.mkv"), "--allow-user=bin")
	v.WaitText("waiting for tbcam-send")
	s := startAsOther(t, dir, nil, "tbcam-send", flag, "--camera=pattern")
	v.WaitText("refused a connection")
	v.WaitText(otheruser.Name)
	if code := v.Stop(syscall.SIGTERM); code != 0 || harness.CountFrames(v) != 0 {
		t.Errorf("exit code %d, %d frames of a user who is not allowed", code, harness.CountFrames(v))
	}
	v = harness.Start(t, nil, "tbcam-view", flag, "--stats=json", "--record="+filepath.Join(dir, "b.mkv"), "--allow-user=bin", "--allow-user="+otheruser.Name)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
	v.Stop(syscall.SIGTERM)
	s.Stop(syscall.SIGTERM)
}

// TestTwoUsersOnOneHost: whom a computer knows is one user of the other computer, not its host; and no
// user has another one's key.
func TestTwoUsersOnOneHost(t *testing.T) {
	t.Parallel()
	h, dir := newHosts(t), otheruser.SharedDir(t)
	for _, end := range []string{h.viewer, h.sender} { // as those who sit at the screen in turn have a device
		if err := os.Chown(end, otheruser.UID, -1); err != nil {
			t.Fatal(err)
		}
	}
	state := []string{"XDG_STATE_HOME=" + filepath.Join(dir, "state")}
	h.run(h.senderState, "tbcam-send", "peers", "add", h.run(h.viewerState, "tbcam-view", "peers", "self"), "anna@desktop")
	self := startAsOther(t, dir, state, "tbcam-view", "peers", "self")
	if code := self.WaitExit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, self.Err.String())
	}
	stolen := startAsOther(t, dir, []string{"XDG_STATE_HOME=" + h.viewerState}, "tbcam-view", "peers", "self")
	if code := stolen.WaitExit(); code != 1 || stolen.Out.String() != "" {
		t.Errorf("another one's key: exit code %d, %q", code, stolen.Out.String())
	}
	sender := harness.Start(t, []string{"XDG_STATE_HOME=" + h.senderState}, "tbcam-send", append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--stream="+h.sender)...)
	key := h.run(h.senderState, "tbcam-send", "peers", "self")
	if p := startAsOther(t, dir, state, "tbcam-view", "peers", "add", key, "laptop"); p.WaitExit() != 0 {
		t.Fatal(p.Err.String())
	}
	viewer := startAsOther(t, dir, state, "tbcam-view", "--stream="+h.viewer, "--record="+filepath.Join(dir, "a.mkv"), "--frames=5")
	sender.WaitText("not paired")
	h.run(h.senderState, "tbcam-send", "peers", "add", strings.TrimSpace(self.Out.String()), "bob@desktop")
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("exit code %d once it is known", code)
	}
}

// startAsOther starts a copy of a program as another user, with settings of its environment.
func startAsOther(t *testing.T, dir string, settings []string, name string, args ...string) *harness.Program {
	t.Helper()
	harness.RunTool(t, "install", "-t", dir, filepath.Join(harness.Bin, name))
	p := harness.Prepare(t, name, args...)
	p.Path, p.Dir, p.Env = filepath.Join(dir, name), dir, harness.Environ(settings...)
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otheruser.UID, Gid: otheruser.UID}}
	p.Launch()
	return p
}
