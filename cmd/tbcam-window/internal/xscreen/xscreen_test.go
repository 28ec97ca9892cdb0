package xscreen

import (
	"errors"
	"image"
	"image/color"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"

	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// pid is what the windows of these tests claim to belong to.
const pid = 1234567

// open puts a window of 200x100 at (50, 40), inside of another one, as a window manager
// does, and covers it.
func open(t *testing.T, display *xvfb.Display, exposed func()) (*Screen, *xgb.Conn, error) {
	t.Helper()
	t.Setenv("DISPLAY", display.Name)
	conn, err := xgb.NewConn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	root := xproto.Setup(conn).DefaultScreen(conn).Root
	frame := window(t, conn, root, image.Rect(40, 20, 400, 300))
	inner := window(t, conn, frame, image.Rect(10, 20, 210, 120))
	name := "_NET_WM_PID"
	atom, err := xproto.InternAtom(conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		t.Fatal(err)
	}
	err = xproto.ChangePropertyChecked(conn, xproto.PropModeReplace, inner, atom.Atom, xproto.AtomCardinal, 32, 1,
		[]byte{pid & 0xFF, pid >> 8 & 0xFF, pid >> 16, 0}).Check()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(pid, exposed)
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, conn, err
}

func window(t *testing.T, conn *xgb.Conn, parent xproto.Window, place image.Rectangle) xproto.Window {
	t.Helper()
	id, err := xproto.NewWindowId(conn)
	if err != nil {
		t.Fatal(err)
	}
	xproto.CreateWindow(conn, 0, id, parent, int16(place.Min.X), int16(place.Min.Y), uint16(place.Dx()), uint16(place.Dy()), 0,
		xproto.WindowClassInputOutput, 0, xproto.CwOverrideRedirect, []uint32{1})
	if err := xproto.MapWindowChecked(conn, id).Check(); err != nil {
		t.Fatal(err)
	}
	return id
}

// present shows one colour in a size.
func present(t *testing.T, s *Screen, width, height int, c color.RGBA) {
	t.Helper()
	m, err := s.Canvas(width, height)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(m.Pix); i += 4 {
		copy(m.Pix[i:], []byte{c.B, c.G, c.R, 255})
	}
	if err := s.Present(); err != nil {
		t.Fatal(err)
	}
}

// TestPresent: when Present returns, the server has what was drawn, in every size and
// with the memory shared or not.
func TestPresent(t *testing.T) {
	for name, args := range map[string][]string{"shared": nil, "sent": {"-extension", "MIT-SHM"}} {
		t.Run(name, func(t *testing.T) {
			display := xvfb.Start(t, args...)
			s, _, err := open(t, display, func() {})
			if err != nil {
				t.Fatal(err)
			}
			for i, size := range []image.Point{{200, 100}, {120, 90}, {200, 100}} {
				c := color.RGBA{byte(50 * i), 200, 90, 255}
				present(t, s, size.X, size.Y, c)
				screen := display.Screenshot(t)
				for _, at := range []image.Point{{0, 0}, {size.X - 1, size.Y - 1}} {
					if got := screen.At(50+at.X, 40+at.Y); got != c {
						t.Errorf("%v: %v is %v instead of %v", size, at, got, c)
					}
				}
				if got := screen.At(49, 40); got == c {
					t.Errorf("%v: beside the window it is %v", size, got)
				}
			}
			if (s.memory.segment != 0) != (name == "shared") {
				t.Errorf("the segment is %d", s.memory.segment)
			}
		})
	}
}

// TestExposed: what a window in front took away is asked for again.
func TestExposed(t *testing.T) {
	exposed := make(chan struct{}, 10)
	display := xvfb.Start(t)
	s, conn, err := open(t, display, func() { exposed <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	present(t, s, 200, 100, color.RGBA{1, 2, 3, 255})
	for len(exposed) > 0 { // of the new window
		<-exposed
	}
	front := window(t, conn, xproto.Setup(conn).DefaultScreen(conn).Root, image.Rect(60, 50, 90, 80))
	if err := xproto.DestroyWindowChecked(conn, front).Check(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-exposed:
	case <-time.After(10 * time.Second):
		t.Error("nothing was exposed")
	}
}

// TestNoWindow: a process without a window, a screen of 16 bits, and no server.
func TestNoWindow(t *testing.T) {
	display := xvfb.Start(t, "-screen", "0", "640x480x16")
	if _, _, err := open(t, display, func() {}); !errors.Is(err, ErrPixels) {
		t.Errorf("16 bits: %v", err)
	}
	if _, err := Open(pid+1, func() {}); err == nil {
		t.Error("a process without a window has a screen")
	}
	t.Setenv("DISPLAY", ":54321")
	if _, err := Open(pid, func() {}); err == nil {
		t.Error("there is a screen without a server")
	}
}

// TestNothingIsLeft: segments go when they are too small, and when the screen does.
func TestNothingIsLeft(t *testing.T) {
	before := segments(t)
	t.Run("screen", func(t *testing.T) {
		s, _, err := open(t, xvfb.Start(t), func() {})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			present(t, s, 100+100*i, 100, color.RGBA{1, 2, 3, 255})
		}
		if n := segments(t); n != before+1 {
			t.Errorf("%d segments instead of %d", n, before+1)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); segments(t) != before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d segments instead of %d", segments(t), before)
		}
	}
}

// segments counts the System V segments that this process made (proc_sysvipc(5)).
func segments(t *testing.T) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); fields[4] == strconv.Itoa(os.Getpid()) {
			n++
		}
	}
	return n
}
