package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/fixtures/otheruser"
)

// sharedDir is a directory that all users may enter and write, as /tmp.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tbcam-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestStrangerAtSocket: who binds the path first gets no frame, and is named.
func TestStrangerAtSocket(t *testing.T) {
	path := filepath.Join(sharedDir(t), "s")
	var l net.Listener
	var err error
	otheruser.Do(t, func() { l, err = net.Listen("unix", path) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := start(t, nil, "tbcam-send", "--camera=pattern", "--stream=unix:"+path)
	if code, said := s.code(), s.stderr.String(); code != 6 || !strings.Contains(said, "user: "+otheruser.Name) || !strings.Contains(said, "--allow-user") {
		t.Errorf("exit code %d, %q", code, said)
	}
	for _, args := range [][]string{{"--stream=/dev/null", "--allow-user=root"}, {"--stream=unix:" + path, "--allow-user=nobody's"}} {
		if code := start(t, nil, "tbcam-send", append(args, "--camera=pattern")...).code(); code != 2 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}

// TestAllowedUser: a sender of another user serves a viewer that allows it, and no
// other one.
func TestAllowedUser(t *testing.T) {
	dir := sharedDir(t)
	flag := "--stream=unix:" + filepath.Join(dir, "s")
	v := start(t, nil, "tbcam-view", flag, "--stats=json", "--record="+filepath.Join(dir, "a.mkv"), "--allow-user=bin")
	v.says("waiting for tbcam-send")
	s := startAsOther(t, dir, "tbcam-send", flag, "--camera=pattern")
	v.says("refused a connection")
	v.says(otheruser.Name)
	if code := v.end(syscall.SIGTERM); code != 0 || frames(v) != 0 {
		t.Errorf("exit code %d, %d frames of a user who is not allowed", code, frames(v))
	}
	v = start(t, nil, "tbcam-view", flag, "--stats=json", "--record="+filepath.Join(dir, "b.mkv"), "--allow-user=bin", "--allow-user="+otheruser.Name)
	until(t, "frames", func() bool { return frames(v) > 0 })
	v.end(syscall.SIGTERM)
	s.end(syscall.SIGTERM)
}

// startAsOther starts a copy of a program as another user.
func startAsOther(t *testing.T, dir, name string, args ...string) *program {
	t.Helper()
	tool(t, "install", "-t", dir, filepath.Join(bin, name))
	p := prepare(t, name, args...)
	p.Path, p.Dir = filepath.Join(dir, name), dir
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otheruser.UID, Gid: otheruser.UID}}
	p.launch()
	return p
}
