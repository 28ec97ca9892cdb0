package window

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// role makes this test program play another one; see TestMain.
const role = "TBCAM_TEST_ROLE"

func TestMain(m *testing.M) {
	if play, ok := roles[os.Getenv(role)]; ok {
		play()
		os.Exit(0)
	}
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

// roles are windows that behave, and do not, and one viewer.
var roles = map[string]func(){
	"good":     func() { fakeWindow(showAll) },
	"mute":     func() { signal.Ignore(os.Interrupt); select {} },
	"liar":     func() { fakeWindow(lieAboutSlots) },
	"truncate": func() { fakeWindow(truncate) },
	"garbage":  func() { fakeWindow(sendGarbage) },
	"quit":     func() { fakeWindow(func(c *shm.Conn, _ *fakeScreen) { report(c, shm.Quit); os.Exit(0) }) },
	"broken":   func() { fmt.Fprintln(os.Stderr, "MESA: hm\ntbcam-window: no GPU"); os.Exit(1) },
	"crash":    func() { panic("no display") },
	"viewer":   viewer,
}

type fakeScreen struct {
	memory *os.File
	slots  *shm.Reader
}

// fakeWindow calls act after every message, until the viewer is gone.
func fakeWindow(act func(*shm.Conn, *fakeScreen)) {
	conn, err := shm.Child(os.NewFile(3, "viewer"))
	if err != nil {
		panic(err)
	}
	var s fakeScreen
	for {
		var u shm.Update
		memory, err := conn.Receive(&u)
		if err != nil {
			return
		}
		if u.Format != nil {
			s.take(*u.Format, memory)
		}
		act(conn, &s)
	}
}

func (s *fakeScreen) take(f capture.Format, memory *os.File) {
	fd, err := syscall.Dup(int(memory.Fd()))
	if err != nil {
		panic(err)
	}
	s.memory = os.NewFile(uintptr(fd), "memory")
	if s.slots, err = shm.NewReader(f, memory); err != nil {
		panic(err)
	}
}

func report(c *shm.Conn, a shm.Action) { _ = c.Send(shm.Report{Action: a}, nil) }

func showAll(c *shm.Conn, s *fakeScreen) {
	if s.slots == nil {
		return
	}
	if _, id, ok := s.slots.Take(); ok {
		_ = c.Send(shm.Report{Action: shm.Shown, ID: id, At: shm.Monotonic()}, nil)
	}
}

// lieAboutSlots writes numbers into the memory that are no slots.
func lieAboutSlots(c *shm.Conn, s *fakeScreen) {
	if s.memory == nil {
		return
	}
	memory, err := syscall.Mmap(int(s.memory.Fd()), 0, 4096, syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	binary.NativeEndian.PutUint32(memory, 0x12345678)
	report(c, shm.Snapshot) // ready
	select {}
}

// truncate tries to take the memory from under the viewer's hands.
func truncate(c *shm.Conn, s *fakeScreen) {
	if s.memory == nil {
		return
	}
	if err := s.memory.Truncate(0); !errors.Is(err, syscall.EPERM) {
		panic(err)
	}
	showAll(c, s)
}

func sendGarbage(c *shm.Conn, _ *fakeScreen) { _ = c.Send([]int{1}, nil); select {} }

// viewer opens a window, prints its process, and waits to be killed.
func viewer() {
	os.Setenv(role, "good")
	w, err := Open(Options{Path: os.Getenv("TBCAM_TEST_WINDOW")})
	if err != nil {
		panic(err)
	}
	fmt.Println(w.cmd.Process.Pid)
	select {}
}

// open starts a window that this test program plays. An orderly end of it must
// log nothing.
func open(t *testing.T, as string) *Window {
	t.Helper()
	var log bytes.Buffer
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(role, as)
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	t.Setenv("DISPLAY", ":never looked at")
	w, err := Open(Options{Title: "test", Path: self, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		<-w.done
		if errors.Is(w.Err(), ErrClosed) && log.Len() > 0 {
			t.Errorf("it was closed, and logs %s", log.String())
		}
	})
	return w
}

var grey = capture.Format{Pixel: capture.GREY, Width: 64, Height: 48, Range: capture.Full}

// frame returns a frame of one sample value; the pool is checked at the end.
func frame(t *testing.T, pool *capture.Pool, f capture.Format, sequence uint32, value byte) *capture.Frame {
	t.Helper()
	fr := pool.Get(f.Size())
	fr.Format, fr.Sequence = f, sequence
	fr.At[capture.Captured] = time.Now()
	for i := range fr.Data {
		fr.Data[i] = value
	}
	return fr
}

func newPool(t *testing.T) *capture.Pool {
	var pool capture.Pool
	t.Cleanup(func() {
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	})
	return &pool
}

func next(t *testing.T, w *Window) Event {
	t.Helper()
	select {
	case e, ok := <-w.Events():
		if !ok {
			t.Fatalf("events ended: %v", w.Err())
		}
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
		panic("unreachable")
	}
}

// ended waits for the end of events and returns why.
func ended(t *testing.T, w *Window) error {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case _, ok := <-w.Events():
			if !ok {
				return w.Err()
			}
		case <-timeout:
			t.Fatal("the window does not end")
		}
	}
}

func TestShown(t *testing.T) {
	w, pool := open(t, "good"), newPool(t)
	formats := []capture.Format{grey, {Pixel: capture.YUV420, Width: 65, Height: 49}, {Pixel: capture.YVU420, Width: 65, Height: 49}}
	for i := range uint32(30) {
		f := frame(t, pool, formats[i/10], i, byte(i))
		captured := f.At[capture.Captured]
		if err := w.Present(f); err != nil {
			t.Fatal(err)
		}
		e := next(t, w)
		if e.Kind != Shown || e.Sequence != i || !e.At[capture.Captured].Equal(captured) {
			t.Fatalf("frame %d: %+v", i, e)
		}
		if age := e.ShownAt.Sub(captured); age <= 0 || age > time.Since(captured) {
			t.Errorf("frame %d is shown %v after its capture, %v ago", i, age, time.Since(captured))
		}
	}
	if got, want := w.Stats(), (Stats{Presented: 30, Shown: 30}); got != want {
		t.Errorf("%+v", got)
	}
	if err := w.Present(frame(t, pool, capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}, 0, 0)); err == nil {
		t.Error("a format without planes was shown")
	}
	if err := w.Present(frame(t, pool, grey, 31, 0)); err != nil {
		t.Errorf("after a frame that cannot be shown: %v", err)
	}
}

// TestMute presents to a window that never looks.
func TestMute(t *testing.T) {
	w, pool := open(t, "mute"), newPool(t)
	const frames = 1000
	start := time.Now()
	for i := range uint32(frames) {
		if err := w.Present(frame(t, pool, grey, i, 0)); err != nil {
			t.Fatal(err)
		}
		w.SetMessage(strings.Repeat("x", maxText))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("presenting took %v", took)
	}
	if got := w.Stats(); got.Superseded != frames-1 {
		t.Errorf("%+v", got)
	}
	start = time.Now()
	err, took := w.Close(), time.Since(start)
	if err != nil || took < grace/2 || took > patience/2 {
		t.Errorf("closed after %v: %v", took, err)
	}
}

func TestWhyGone(t *testing.T) {
	for _, c := range []struct {
		role, want string
		is         error
	}{
		{"broken", "no GPU (exit status 1)", ErrGone},
		{"crash", "no display (exit status 2)", ErrGone},
		{"garbage", "cannot unmarshal", ErrGone},
		{"quit", "", ErrClosed},
	} {
		t.Run(c.role, func(t *testing.T) {
			w, pool := open(t, c.role), newPool(t)
			err := ended(t, w)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("gone: %v", err)
			}
			if got := w.Present(frame(t, pool, grey, 0, 0)); got != err {
				t.Errorf("present: %v", got)
			}
		})
	}
}

func TestLiar(t *testing.T) {
	w, pool := open(t, "liar"), newPool(t)
	if err := w.Present(frame(t, pool, grey, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if e := next(t, w); e.Kind != Snapshot {
		t.Fatalf("%+v", e)
	}
	if err := w.Present(frame(t, pool, grey, 1, 0)); !errors.Is(err, shm.ErrSlot) || !errors.Is(err, ErrGone) {
		t.Errorf("present: %v", err)
	}
	if err := ended(t, w); !errors.Is(err, shm.ErrSlot) {
		t.Errorf("gone: %v", err)
	}
}

func TestTruncate(t *testing.T) {
	w, pool := open(t, "truncate"), newPool(t)
	for i := range uint32(3) {
		if err := w.Present(frame(t, pool, grey, i, 0)); err != nil {
			t.Fatal(err)
		}
		next(t, w)
	}
}

func TestKill(t *testing.T) {
	w, pool := open(t, "good"), newPool(t)
	if err := w.Present(frame(t, pool, grey, 0, 0)); err != nil {
		t.Fatal(err)
	}
	next(t, w)
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := uint32(1); ; i++ { // goes on presenting while the window dies
		if err := w.Present(frame(t, pool, grey, i, 0)); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := ended(t, w); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("gone: %v", err)
	}
}

func TestClose(t *testing.T) {
	w, pool := open(t, "good"), newPool(t)
	if err := w.Present(frame(t, pool, grey, 0, 0)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := w.Present(frame(t, pool, grey, 1, 0)); !errors.Is(err, ErrClosed) {
		t.Errorf("present: %v", err)
	}
	if err := ended(t, w); !errors.Is(err, ErrClosed) {
		t.Errorf("gone: %v", err)
	}
	w.SetTitle("nobody") // does nothing
}

// TestLeaks opens and closes windows, some of which die first.
func TestLeaks(t *testing.T) {
	pool := newPool(t)
	use := func() {
		w := open(t, "good")
		if err := w.Present(frame(t, pool, grey, 0, 0)); err != nil {
			t.Fatal(err)
		}
		next(t, w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w = open(t, "broken")
		ended(t, w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	use()
	files, routines := descriptors(t), runtime.NumGoroutine()
	for range 10 {
		use()
	}
	noLeaks(t, files, routines)
}

// noLeaks compares with the counts of before, once goroutines that have done
// their work have also ended.
func noLeaks(t *testing.T, files, routines int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > routines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), routines)
		}
	}
	if n := descriptors(t); n > files {
		t.Errorf("%d descriptors, %d before", n, files)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
