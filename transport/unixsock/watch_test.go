package unixsock

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch: only the name counts, however it appears, and what has appeared before
// anybody waits counts, too.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	w, err := newWatch(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.closeWatch()
	touch := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	touch("other")
	if err := w.waitChange(t.Context(), 10*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("another name: %v", err)
	}
	touch("s")
	if err := w.waitChange(t.Context(), patience); err != nil {
		t.Errorf("made: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "other"), path); err != nil {
		t.Fatal(err)
	}
	if err := w.waitChange(t.Context(), patience); err != nil {
		t.Errorf("moved there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := w.waitChange(ctx, patience); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := w.waitChange(t.Context(), patience); err != errUnwatched {
		t.Errorf("removed: %v", err)
	}
}

// TestDialsWhenViewerListens: a viewer that begins to listen is found, whether or not the
// directory could be watched before.
func TestDialsWhenViewerListens(t *testing.T) {
	for name, directory := range map[string]string{"directory": ".", "no directory yet": "later"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), directory, "s")
			found := make(chan error, 1)
			go func() {
				conn, err := (&Dialer{Path: path}).Open(t.Context())
				if err == nil {
					conn.Close()
				}
				found <- err
			}()
			time.Sleep(8 * redial) // by now it waits as long as ever
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			l, err := Listen(path, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if err := <-found; err != nil {
				t.Fatal(err)
			}
			t.Logf("found after %v", time.Since(begun))
		})
	}
}

// TestAttempts counts the attempts of a minute in which nobody listens: each costs some
// ten switches between threads, of which an idle program may have 20 a second.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := waiter{path: "/proc/nowhere/s"} // which cannot be watched
		attempts := 0
		for begun := time.Now(); time.Since(begun) < time.Minute; attempts++ {
			if err := w.waitRedial(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		if attempts > 160 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// TestDiallerEnds: waiting in either way leaves nothing behind.
func TestDiallerEnds(t *testing.T) {
	checkLeaks(t)
	for _, path := range []string{filepath.Join(t.TempDir(), "s"), "/proc/nowhere/s"} {
		ctx, cancel := context.WithTimeout(t.Context(), 8*redial)
		before := descriptors(t)
		if _, err := (&Dialer{Path: path}).Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", path, err)
		}
		cancel()
		if n := descriptors(t); n != before {
			t.Errorf("%s: %d descriptors instead of %d", path, n, before)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestStaleSocket: a viewer is found that takes the place of one that was killed.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close() // the socket stays, and refuses
	found := make(chan error, 1)
	go func() {
		conn, err := (&Dialer{Path: path}).Open(t.Context())
		if err == nil {
			conn.Close()
		}
		found <- err
	}()
	time.Sleep(4 * redial)
	viewer, err := Listen(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Close()
	if err := <-found; err != nil {
		t.Error(err)
	}
}
