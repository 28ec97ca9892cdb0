package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/fixtures/logbuffer"
)

// SmallPattern has the flags of a pattern that costs little.
var SmallPattern = []string{"--camera=pattern", "--size=320x240", "--fps=30"}

// StartSender starts a tbcam-send that sends SmallPattern, with the stream flag and more.
func StartSender(t testing.TB, flag string, more ...string) *Program {
	return Start(t, nil, "tbcam-send", append(append(SmallPattern[:len(SmallPattern):len(SmallPattern)], flag), more...)...)
}

// StartViewer starts a tbcam-view with the stream flag and more.
func StartViewer(t testing.TB, flag string, more ...string) *Program {
	return Start(t, nil, "tbcam-view", append([]string{flag}, more...)...)
}

// Patience is how long a test waits for what must happen.
const Patience = 60 * time.Second

// WaitUntil waits for a condition, and fails the test when it does not come true in
// Patience.
func WaitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", Patience, what)
		}
	}
}

// Output gathers what a program prints.
type Output struct{ logbuffer.Buffer }

// Program is a running tbcam-send or tbcam-view.
type Program struct {
	*exec.Cmd
	t        testing.TB
	Out, Err Output
	Exited   chan struct{}
}

// Environ returns this process's environment with the given settings and, unless one
// of them sets it, without a display.
func Environ(settings ...string) []string {
	all := append(os.Environ(), "DISPLAY=", "WAYLAND_DISPLAY=")
	return append(all, settings...)
}

// Start starts a program.
func Start(t testing.TB, settings []string, name string, args ...string) *Program {
	t.Helper()
	return StartIn(t, "", settings, name, args...)
}

// StartIn starts a program in a directory, "" for the test's.
func StartIn(t testing.TB, dir string, settings []string, name string, args ...string) *Program {
	t.Helper()
	p := Prepare(t, name, args...)
	p.Dir, p.Env = dir, Environ(settings...)
	p.Launch()
	return p
}

// Prepare returns a program that Launch starts.
func Prepare(t testing.TB, name string, args ...string) *Program {
	p := &Program{Cmd: exec.Command(filepath.Join(Bin, name), args...), t: t, Exited: make(chan struct{})}
	p.Env = Environ()
	p.Stdout, p.Stderr = &p.Out, &p.Err
	return p
}

// Launch starts the program. If it still runs at the end of the test it is killed;
// what it printed is logged when the test failed.
func (p *Program) Launch() {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // ProcessState has the result
		close(p.Exited)
	}()
	p.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.Exited
		if p.t.Failed() {
			p.t.Logf("%s:\n%s%s", strings.Join(p.Args, " "), Tail(p.Out.String()), Tail(p.Err.String()))
		}
	})
}

// Tail returns the last lines of a text.
func Tail(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// WaitText waits until the program has printed a text.
func (p *Program) WaitText(text string) {
	p.t.Helper()
	WaitUntil(p.t, fmt.Sprintf("%q", text), func() bool {
		return strings.Contains(p.Out.String()+p.Err.String(), text)
	})
}

// Stop sends a signal and returns the exit code.
func (p *Program) Stop(signal syscall.Signal) int {
	p.t.Helper()
	if err := p.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	return p.WaitExit()
}

// WaitExit waits for the program's end and returns its exit code.
func (p *Program) WaitExit() int {
	p.t.Helper()
	select {
	case <-p.Exited:
	case <-time.After(Patience):
		p.t.Fatalf("%s does not end", p.Path)
	}
	return p.ProcessState.ExitCode()
}

// NewSocket returns the flag and the path of a stream that no other test uses.
func NewSocket(t testing.TB) (flag, path string) {
	path = filepath.Join(t.TempDir(), "s")
	return "--stream=unix:" + path, path
}

// RunTool runs a program of another project and returns what it prints.
func RunTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, failed.Stderr)
	}
	if err != nil {
		t.Fatalf("%s: %v; install it with `make deps`", name, err)
	}
	return string(out)
}
