//go:build cable

package cable

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/otheruser"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// ordinaryUser runs programs as a user who is not root.
type ordinaryUser struct {
	t   *testing.T
	dir string // that the user may write, with copies of the programs
}

func newOrdinaryUser(t *testing.T) ordinaryUser {
	u := ordinaryUser{t, otheruser.SharedDir(t)}
	harness.RunTool(t, "install", "-t", u.dir, filepath.Join(harness.Bin, "tbcam-send"), filepath.Join(harness.Bin, "tbcam-view"))
	home := filepath.Join(u.dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, otheruser.UID, otheruser.UID); err != nil {
		t.Fatal(err)
	}
	return u
}

// start starts a program of the user's.
func (u ordinaryUser) start(name string, args ...string) *harness.Program {
	home := filepath.Join(u.dir, "home")
	p := harness.Prepare(u.t, name, args...)
	p.Path, p.Dir = filepath.Join(u.dir, name), home
	p.Env = harness.Environ("HOME="+home, "TMPDIR="+home, "XDG_STATE_HOME="+home, "XDG_RUNTIME_DIR="+home)
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otheruser.UID, Gid: otheruser.UID}}
	p.Launch()
	return p
}

// startUdev runs udev until the end of the test, which the virtual machine has not.
func startUdev(t *testing.T) {
	t.Helper()
	p := exec.Command("/lib/systemd/systemd-udevd")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		os.Remove("/run/udev/control")
	})
	harness.WaitUntil(t, "udev", func() bool { return exec.Command("udevadm", "control", "--ping").Run() == nil })
}

// belongsToUser reports whether a device is the user's.
func belongsToUser(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == otheruser.UID
}

// TestOrdinaryUserOverTheCable: before setup another user than root gets a clear error; after
// it a frame, immediately, after a replug, and on devices that appear later.
func TestOrdinaryUserOverTheCable(t *testing.T) {
	u := newOrdinaryUser(t)
	for name, args := range map[string][]string{
		"tbcam-view": {"--stream=" + theCable.viewer, "--snapshot=a.png"},
		"tbcam-send": {"--stream=" + theCable.sender, "--camera=pattern"},
	} {
		p := u.start(name, args...)
		if code := p.WaitExit(); code != 6 || !strings.Contains(p.Err.String(), "may not open it") || !strings.Contains(p.Err.String(), "sudo "+name+" setup") {
			t.Errorf("before setup %s ends with %d: %s", name, code, p.Err.String())
		}
	}
	startUdev(t)
	for _, side := range []struct{ program, host, device string }{{"tbcam-view", "1", theCable.viewer}, {"tbcam-send", "0", theCable.sender}} {
		p := harness.Start(t, []string{"SUDO_USER=" + otheruser.Name}, side.program, "setup", "--stream=tbcam@"+service(t, side.host))
		if code := p.WaitExit(); code != 0 || !strings.Contains(p.Out.String(), otheruser.Name+" may open "+side.device) {
			t.Fatalf("setup: exit code %d: %s", code, p.Out.String())
		}
	}
	t.Cleanup(func() { // what --remove does, but for the stream, which other tests need
		for _, pattern := range []string{"/etc/udev/rules.d/7*-tbcam-*", "/etc/modules-load.d/tbcam-v4l2loopback.conf", "/etc/modprobe.d/tbcam-v4l2loopback.conf"} {
			files, _ := filepath.Glob(pattern)
			for _, path := range files {
				os.Remove(path)
			}
		}
		vm.Unload(t, "v4l2loopback")
	})
	u.start("tbcam-send", "--camera=pattern", "--size=160x120", "--fps=5", "--codec=raw", "--stream="+theCable.sender)
	w := watcher{Program: u.start("tbcam-view", "--stream="+theCable.viewer, "--stats=json", "--record=a.mkv")}
	w.more(t, 2)
	set(t, knob("plug"), 0)
	w.WaitText("lost the connection")
	set(t, knob("plug"), 1)
	w.more(t, harness.CountFrames(w.Program)+2)
	second := secondStream(t)
	for _, path := range []string{second.sender, second.viewer} {
		harness.WaitUntil(t, "the user's "+path, func() bool { return belongsToUser(path) })
	}
}
