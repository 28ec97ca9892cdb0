package ctlsock

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// echo grants what is asked for, and refuses control 0.
func echo(_ context.Context, q Request) Response {
	switch {
	case q.Set == nil:
		return Response{Controls: &transport.Controls{Camera: "HD Webcam"}}
	case q.Set.ID == 0:
		return Response{Error: "no such control"}
	}
	return Response{Granted: q.Set}
}

func open(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "door")
	d, err := Open(path, echo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the socket was left behind")
		}
	})
	return path
}

func TestAsk(t *testing.T) {
	path := open(t)
	if r, err := Ask(t.Context(), path, Request{}); err != nil || r.Controls.Camera != "HD Webcam" {
		t.Errorf("controls: %+v, %v", r, err)
	}
	want := capture.Setting{ID: 1, Value: -7, Text: "a\nb"}
	if r, err := Ask(t.Context(), path, Request{Set: &want}); err != nil || *r.Granted != want {
		t.Errorf("set: %+v, %v", r, err)
	}
	if _, err := Ask(t.Context(), path, Request{Set: &capture.Setting{}}); err == nil || err.Error() != "no such control" {
		t.Errorf("refused: %v", err)
	}
	if _, err := Ask(t.Context(), path+"2", Request{}); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := Open(path, echo); err == nil || !strings.Contains(err.Error(), "another tbcam-view") {
		t.Errorf("a second door: %v", err)
	}
}

// What no program of ours says harms nobody else.
func TestStrangers(t *testing.T) {
	path := open(t)
	for _, text := range []string{"", "{", "?\n", strings.Repeat("[", 2*maxMessage)} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() // only when the test is over: a silent one keeps nobody
		_, _ = conn.Write([]byte(text))
	}
	if _, err := Ask(t.Context(), path, Request{}); err != nil {
		t.Error(err)
	}
}

// A socket of a program that was killed is replaced.
func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	if _, err := Ask(t.Context(), path, Request{}); !errors.Is(err, ErrNobody) {
		t.Errorf("asked: %v", err)
	}
	d, err := Open(path, echo)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

// A door that closes ends what it was asked, and a caller that gives up does not
// wait for it.
func TestSlowAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	asked := make(chan struct{}, 2)
	d, err := Open(path, func(ctx context.Context, _ Request) Response {
		asked <- struct{}{}
		<-ctx.Done()
		return Response{Error: "too late"}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, path, Request{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
	<-asked
	go func() {
		<-asked
		d.Close()
	}()
	if _, err := Ask(t.Context(), path, Request{}); err == nil {
		t.Error("an answer came from a closed door")
	}
	d.Close()
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	a, err := Path("/dev/tbstream0")
	if err != nil || filepath.Dir(a) != filepath.Join(dir, "tbcam") || len(a)-len(dir) > 60 {
		t.Errorf("%q, %v", a, err)
	}
	if b, _ := Path("/dev/tbstream1"); a == b {
		t.Error("two streams have one door")
	}
	if err := os.Chmod(filepath.Dir(a), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Path("x"); err == nil || !strings.Contains(err.Error(), "not a private directory") {
		t.Errorf("a directory that all may enter: %v", err)
	}
}

// Without XDG_RUNTIME_DIR no door is in a directory where other users can make one.
func TestPathWithoutRuntimeDir(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("XDG_CACHE_HOME", "/home/me/.cache")
	const nobodys = 4000000001
	if dir, err := parentDir(nobodys); err != nil || dir != "/home/me/.cache" {
		t.Errorf("a user without a session: %q, %v", dir, err)
	}
	if dir, err := parentDir(0); err != nil || dir != "/run" && dir != "/run/user/0" {
		t.Errorf("root: %q, %v", dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if dir, err := parentDir(nobodys); err == nil {
		t.Errorf("a user without a home: %q", dir)
	}
}
