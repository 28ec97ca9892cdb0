package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin is where the programs are: TBCAM_BIN, or a directory they are built into.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if films := os.Getenv(filmVariable); films != "" {
			return sendFilms(films)
		}
		bin = os.Getenv("TBCAM_BIN")
		if bin == "" {
			dir, err := build()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			bin = dir
		}
		return m.Run()
	}())
}

func build() (string, error) {
	dir, err := os.MkdirTemp("", "tbcam-bin-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "github.com/tbcam/tbcam/cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return dir, nil
}

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// output gathers what a program prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// program is a running tbcam-send or tbcam-view.
type program struct {
	*exec.Cmd
	t              *testing.T
	stdout, stderr output
	exited         chan struct{}
}

// env returns this process's environment with the given settings and, unless one
// of them says otherwise, without a display.
func env(settings ...string) []string {
	all := append(os.Environ(), "DISPLAY=", "WAYLAND_DISPLAY=")
	return append(all, settings...)
}

// start starts a program.
func start(t *testing.T, settings []string, name string, args ...string) *program {
	t.Helper()
	return startIn(t, "", settings, name, args...)
}

// startIn starts a program in a directory, "" for the test's.
func startIn(t *testing.T, dir string, settings []string, name string, args ...string) *program {
	t.Helper()
	p := prepare(t, name, args...)
	p.Dir, p.Env = dir, env(settings...)
	p.launch()
	return p
}

// prepare returns a program that launch starts.
func prepare(t *testing.T, name string, args ...string) *program {
	p := &program{Cmd: exec.Command(filepath.Join(bin, name), args...), t: t, exited: make(chan struct{})}
	p.Env = env()
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

// launch starts the program; if it still runs at the end of the test it is killed,
// and what it said is printed when the test failed.
func (p *program) launch() {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // ProcessState tells
		close(p.exited)
	}()
	p.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.exited
		if p.t.Failed() {
			p.t.Logf("%s:\n%s%s", strings.Join(p.Args, " "), tail(p.stdout.String()), tail(p.stderr.String()))
		}
	})
}

// tail returns the last lines of a text.
func tail(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// says waits until the program has printed a text.
func (p *program) says(text string) {
	p.t.Helper()
	until(p.t, fmt.Sprintf("%q", text), func() bool {
		return strings.Contains(p.stdout.String()+p.stderr.String(), text)
	})
}

// end sends a signal and returns the exit code.
func (p *program) end(signal syscall.Signal) int {
	p.t.Helper()
	if err := p.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	return p.code()
}

// code waits for the program's end and returns its exit code.
func (p *program) code() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.Path)
	}
	return p.ProcessState.ExitCode()
}

// socket returns a stream that no other test uses.
func socket(t *testing.T) (flag, path string) {
	path = filepath.Join(t.TempDir(), "s")
	return "--stream=unix:" + path, path
}

// tool runs a program of another project and returns what it prints.
func tool(t *testing.T, name string, args ...string) string {
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
