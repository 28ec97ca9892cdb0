package tbdev

import (
	"errors"
	"log/slog"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/fixtures/pty"
)

// The device is found anew for each opening. A stream that is set up once more while
// it is used is gone for a moment, and then may have another number.
func TestDeviceChanges(t *testing.T) {
	first, _, _ := pty.Pair(t)
	second, _, _ := pty.Pair(t)
	answers := []struct {
		path string
		err  error
	}{{path: first}, {err: notSetUp(t)}, {path: second + "-gone"}, {path: second}}
	l := &Link{Log: slog.New(slog.DiscardHandler), Resolve: func() (string, error) {
		answer := answers[0]
		answers = answers[1:]
		return answer.path, answer.err
	}}
	c, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if c, err = l.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.locked != second || len(answers) != 0 {
		t.Errorf("%q is open, and %d answers are left", l.locked, len(answers))
	}
	c.Close()
	l.Close()
}

// The lock of a program that is killed outlives its device whatever other files were
// closed before the device was opened again.
func TestLockIsBelowTheDevice(t *testing.T) {
	path, _, _ := pty.Pair(t)
	var low []*os.File
	for range 8 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		low = append(low, f)
	}
	l := device(path)
	defer l.Close()
	for i := range 2 {
		c, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lock, err := descriptorOf(l.lock)
		if fd := c.(*linkConn).file.(*descriptor).fd; err != nil || fd < lock {
			t.Errorf("opening %d: the device is %d, its lock %d: %v", i, fd, lock, err)
		}
		c.Close()
		for _, f := range low {
			f.Close()
		}
	}
}

// A stream that was never there is a mistake of the user's.
func TestNotSetUpAtFirst(t *testing.T) {
	for _, cause := range []error{notSetUp(t), unix.ENOENT} {
		l := &Link{Log: slog.New(slog.DiscardHandler), Resolve: func() (string, error) { return "", cause }}
		if _, err := l.Open(t.Context()); !errors.Is(err, cause) {
			t.Errorf("Open ended with %v, want %v", err, cause)
		}
	}
}

func notSetUp(t *testing.T) error {
	_, err := (&Finder{Root: t.TempDir(), Selector: Selector{Name: "tbcam"}}).Device()
	return err
}
