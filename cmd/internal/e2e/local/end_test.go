package local

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/transport/wire"
)

// endLimit is how long a program may take to end after SIGTERM.
const endLimit = 2 * time.Second

// wantEnd ends a program by SIGTERM, in time.
func wantEnd(t *testing.T, p *harness.Program, code int) {
	t.Helper()
	begin := time.Now()
	got := p.Stop(syscall.SIGTERM)
	if took := time.Since(begin); got != code || took > endLimit {
		t.Errorf("exit code %d after %v, want %d within %v", got, took, code, endLimit)
	}
}

// fullPipe returns the end of a pipe that takes nothing any more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	return w
}

// TestEndsInTime: SIGTERM ends tbcam-view and its window within two seconds, whatever
// holds them up.
func TestEndsInTime(t *testing.T) {
	t.Run("window hangs", func(t *testing.T) {
		w := watch(t)
		if err := syscall.Kill(w.child(t), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		before := w.outcome("sent")
		harness.WaitUntil(t, "frames for a window that hangs", func() bool { return w.outcome("sent") > before+10 })
		wantEnd(t, w.Program, 0)
	})
	t.Run("in order", func(t *testing.T) {
		w := watch(t)
		// As a terminal and systemd do, to both.
		if err := syscall.Kill(w.child(t), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, w.Program, 0)
		if text := w.Err.String(); strings.Contains(text, "err") || strings.Contains(text, "window") {
			t.Errorf("it ends with an error in its log: %s", text)
		}
	})
	t.Run("the window itself", func(t *testing.T) {
		w := watch(t)
		dead, begin := w.child(t), time.Now()
		if err := syscall.Kill(dead, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		harness.WaitUntil(t, "the end of the window", func() bool { return syscall.Kill(dead, 0) != nil })
		if took := time.Since(begin); took > endLimit {
			t.Errorf("the window ended after %v", took)
		}
		wantEnd(t, w.Program, 0)
	})
	for _, full := range []string{"stdout", "stderr"} {
		t.Run("no reader of "+full, func(t *testing.T) { testFullOutput(t, full) })
	}
	t.Run("the sender reads nothing", func(t *testing.T) {
		display := xvfb.Start(t)
		flag, path := harness.NewSocket(t)
		v := harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--window", "--snapshot="+filepath.Join(t.TempDir(), "a.png"))
		offer(t, path)
		wantEnd(t, v, 130)
	})
}

// testFullOutput ends a viewer whose output is a pipe that is full.
func testFullOutput(t *testing.T, full string) {
	flag, path := harness.NewSocket(t)
	v := harness.Prepare(t, "tbcam-view", flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"), "--stats=text")
	fd := 1
	if full == "stdout" {
		v.Stdout = fullPipe(t)
	} else {
		v.Stderr, fd = fullPipe(t), 2
	}
	v.Launch()
	harness.StartSender(t, flag)
	harness.WaitUntil(t, "the socket", func() bool { _, err := os.Stat(path); return err == nil })
	harness.WaitUntil(t, "a write that does not return", func() bool { return isWriting(v.Process.Pid, fd) })
	wantEnd(t, v, 0)
}

// isWriting reports whether a thread of a process is in write(2) to a descriptor
// (proc_pid_syscall(5): number and arguments of the system call).
func isWriting(pid, fd int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	return slices.ContainsFunc(threads, func(path string) bool {
		text, _ := os.ReadFile(path) // none: the thread has ended
		return strings.HasPrefix(string(text), fmt.Sprintf("%d %#x ", syscall.SYS_WRITE, fd))
	})
}

// TestGoodbye: what the viewer sends at its end names nothing of its host.
func TestGoodbye(t *testing.T) {
	flag, path := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	p := offer(t, path)
	if err := v.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if reason, err := p.Read(wire.Bye); err != nil || string(reason) != "tbcam-view was closed" {
		t.Errorf("got %q, %v", reason, err)
	}
	if code := v.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
