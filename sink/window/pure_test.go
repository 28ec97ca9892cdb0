package window

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

func TestFind(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", filepath.Join(root, "path"))
	bin := filepath.Join(root, "bin")
	_, err := findFrom(bin)
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), bin) || strings.Contains(err.Error(), "\n") {
		t.Errorf("nowhere: %v", err)
	}
	for _, dir := range []string{"path", "libexec", "libexec/tbcam", "bin"} { // each before the last
		want := filepath.Join(root, dir, program)
		if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(want, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := findFrom(bin); got != want {
			t.Errorf("found %s, %v; want %s", got, err, want)
		}
	}
	if got, err := findProgram("/a/b"); got != "/a/b" || err != nil {
		t.Errorf("override: %s, %v", got, err)
	}
}

func TestNoDisplay(t *testing.T) {
	t.Setenv("DISPLAY", "")
	for wayland, remedy := range map[string]string{"": "desktop's session", "wayland-0": "Xwayland"} {
		t.Setenv("WAYLAND_DISPLAY", wayland)
		if _, err := Open(Options{Path: "/bin/true"}); !errors.Is(err, ErrNoDisplay) || !strings.Contains(err.Error(), remedy) {
			t.Errorf("WAYLAND_DISPLAY=%s: %v", wayland, err)
		}
	}
}

func TestStderr(t *testing.T) {
	died := errors.New("exit status 2")
	for _, c := range []struct{ text, want string }{
		{"", "exit status 2"},
		{"warning: x\n", "warning: x (exit status 2)"},
		{"XGB: y\nwarning: x\n", "warning: x (exit status 2)"},
		{"MESA: x\ntbcam-window: no GPU\n", "no GPU (exit status 2)"},
		{"MESA: x\n\npanic: no display\n\ngoroutine 1:\n", "no display (exit status 2)"},
		{"glfw: no server\npanic: not ready\n", "no server (exit status 2)"},
		{"unfinished", "unfinished (exit status 2)"},
		{strings.Repeat("x", 5000), strings.Repeat("x", maxStderrLine) + " (exit status 2)"},
	} {
		for _, step := range []int{1, 3, 10000} {
			s := &stderr{log: slog.New(slog.DiscardHandler)}
			for part := range chunks([]byte(c.text), step) {
				if n, err := s.Write(part); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if got := s.endCause(died); got != c.want {
				t.Errorf("%q: %q", c.text, got)
			}
		}
	}
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func TestPlanes(t *testing.T) {
	var pool capture.Pool
	for _, pixel := range []capture.PixelFormat{capture.YUV420, capture.YVU420, capture.YUV422P, capture.YUV444, capture.GREY} {
		f := pool.Get(0)
		f.Format = capture.Format{Pixel: pixel, Width: 5, Height: 3}
		f.Data = make([]byte, f.Format.Size())
		for i := range f.Data {
			f.Data[i] = byte(i + 1)
		}
		layout, err := shm.NewLayout(planarFormat(f.Format))
		if err != nil {
			t.Fatal(err)
		}
		var dst [3][]byte
		for i, p := range layout.Planes {
			dst[i] = make([]byte, p.Stride*p.Lines)
		}
		if err := copyPlanes(dst, layout.Strides(), f); err != nil {
			t.Fatal(err)
		}
		var got []byte
		order := []int{0, 1, 2}[:len(layout.Planes)]
		if pixel == capture.YVU420 {
			order = []int{0, 2, 1}
		}
		packed, _ := planarFormat(f.Format).Planes()
		for _, i := range order {
			for y := range layout.Planes[i].Lines {
				got = append(got, dst[i][y*layout.Planes[i].Stride:][:packed[i].Stride]...)
			}
		}
		if !bytes.Equal(got, f.Data) {
			t.Errorf("%v: %v", pixel, got)
		}
		f.Data = f.Data[:len(f.Data)-1]
		if err := copyPlanes(dst, layout.Strides(), f); err == nil {
			t.Errorf("%v: a frame that is too short", pixel)
		}
		f.Release()
	}
}

// TestTextsFit sets the longest texts, of what JSON needs most bytes for.
func TestTextsFit(t *testing.T) {
	w := &Window{out: newOutbox()}
	long := strings.Repeat("<\x01", 10000)
	w.SetTitle(long)
	w.SetMessage(long)
	lines := make([]string, 1000)
	for i := range lines {
		lines[i] = long
	}
	w.SetStatus(lines)
	w.Notice(long)
	for i := range 2 * shm.MaxLatency {
		w.AddLatency(time.Duration(i) * 1234567 * time.Microsecond)
	}
	w.SetControls(slices.Repeat([]capture.Control{{Name: long[:40], Type: "menu", Max: 1 << 40}}, 1000))
	u, _ := w.out.takeUpdate()
	packet, err := json.Marshal(u)
	if err != nil || len(packet) > shm.MaxMessage-500 { // there is also a format
		t.Errorf("%d bytes, %v", len(packet), err)
	}
	if n := len(*u.Controls); n < 100 || n == 1000 {
		t.Errorf("%d controls fit", n)
	}
	if got := clipText("größer", 4); got != "gr\u00f6" || clipText("größer", 3) != "gr" {
		t.Errorf("clipped to %q", got)
	}
}

func width(w int) capture.Format { return capture.Format{Width: w} }

func TestOutbox(t *testing.T) {
	o := newOutbox()
	first, second := newFile(t), newFile(t)
	o.putFormat(width(1), first)
	o.putFormat(width(2), second)
	o.putChange(func(u *shm.Update) { u.Frame = true })
	u, memory := o.takeUpdate()
	if u.Format.Width != 2 || !u.Frame || memory != second {
		t.Errorf("took %+v and %v", u, memory)
	}
	if first.Close() == nil {
		t.Error("memory that nobody will see was left open")
	}
	memory.Close()

	o.putFormat(width(3), newFile(t))
	o.closeReady()
	late := newFile(t)
	o.putFormat(width(4), late)
	if late.Close() == nil {
		t.Error("memory for a window that is gone was left open")
	}
	<-o.ready
	if _, more := <-o.ready; more {
		t.Error("ready does not end")
	}
	if _, memory := o.takeUpdate(); memory != nil {
		t.Error("there is still memory after the end")
	}
}

func newFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPending(t *testing.T) {
	var p pendingFrames
	var pool capture.Pool
	f := pool.Get(1)
	defer f.Release()
	var ids []uint64
	for i := range uint32(20) {
		f.Sequence = 100 + i
		ids = append(ids, p.addFrame(f))
	}
	now := shm.Monotonic()
	for _, c := range []struct {
		report shm.Report
		ok     bool
	}{
		{shm.Report{ID: ids[19], At: now}, true},
		{shm.Report{ID: ids[19], At: now}, false}, // twice
		{shm.Report{ID: ids[18], At: now + 1e12}, false},
		{shm.Report{ID: ids[18], At: -1 << 63}, false},
		{shm.Report{ID: ids[0], At: now}, false}, // long ago
		{shm.Report{ID: 0, At: now}, false},
		{shm.Report{ID: 1 << 63, At: now}, false},
		{shm.Report{ID: ids[18], At: now}, true},
	} {
		got, ok := p.takeFrame(c.report)
		if ok != c.ok || ok && got.sequence != 100+uint32(c.report.ID-ids[0]) {
			t.Errorf("%+v: %+v %v", c.report, got, ok)
		}
	}
}
