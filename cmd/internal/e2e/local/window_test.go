package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// watched is a viewer with a window, on a display of its own, and its sender.
type watched struct {
	*harness.Program
	display *xvfb.Display
	sender  *harness.Program
	dir     string // the viewer's current one
}

// watch starts both; flags are the viewer's. It returns when there is a frame.
func watch(t *testing.T, flags ...string) *watched {
	t.Helper()
	w := &watched{display: xvfb.Start(t), dir: t.TempDir()}
	flag, _ := harness.NewSocket(t)
	w.Program = harness.StartIn(t, w.dir, []string{"DISPLAY=" + w.display.Name}, "tbcam-view", append(flags, flag, "--window", "--stats=json")...)
	w.sender = harness.Start(t, nil, "tbcam-send", "--camera=pattern", "--size=640x480", "--fps=30", flag)
	w.shows(t, 0)
	return w
}

// shows waits until a frame later than one is on the screen, and returns its
// number.
func (w *watched) shows(t *testing.T, than uint32) (counter uint32) {
	t.Helper()
	harness.WaitUntil(t, fmt.Sprintf("a frame after number %d", than), func() bool {
		stamp, err := pattern.ReadImage(w.display.Screenshot(t), windowBounds(t, w.display))
		counter = stamp.Counter
		return err == nil && counter > than
	})
	return counter
}

// child returns the process of the window.
func (w *watched) child(t *testing.T) (pid int) {
	t.Helper()
	harness.WaitUntil(t, "the window's process", func() bool {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			children, _ := os.ReadFile(task) // the task may have ended
			for _, c := range strings.Fields(string(children)) {
				pid, _ = strconv.Atoi(c)
			}
		}
		return pid != 0
	})
	return pid
}

// outcome returns how many frames had an outcome, by the last statistics.
func (w *watched) outcome(name string) int {
	lines := strings.Split(strings.TrimSpace(w.Out.String()), "\n")
	var s struct {
		Outcomes map[string]int
	}
	if json.Unmarshal([]byte(lines[len(lines)-1]), &s) != nil {
		return 0
	}
	return s.Outcomes[meter.Outcome{Name: name}.Key()]
}

// recordsOn waits until some more frames were recorded, and checks that none
// was dropped.
func (w *watched) recordsOn(t *testing.T) {
	t.Helper()
	before := w.outcome("recorded")
	harness.WaitUntil(t, "more frames in the recording", func() bool { return w.outcome("recorded") > before+15 })
	if n := w.outcome("dropped by the recorder"); n != 0 {
		t.Errorf("the recorder dropped %d frames", n)
	}
}

// TestWindowDies kills the window's process, and crashes it as a fault in a
// graphics driver does: video comes back, and the recording goes on.
func TestWindowDies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.mkv")
	w := watch(t, "--record="+file)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGKILL, syscall.SIGABRT} {
		counter := w.shows(t, 0)
		dead := w.child(t)
		if err := syscall.Kill(dead, signal); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		harness.WaitUntil(t, "another window", func() bool { return w.child(t) != dead })
		w.shows(t, counter)
		t.Logf("%v: video was back after %v", signal, time.Since(begin).Round(time.Millisecond))
		w.recordsOn(t)
	}
	if code := w.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestWindowDiesWhilePaused: a new window shows the last frame and what the
// last window showed, although no frame comes.
func TestWindowDiesWhilePaused(t *testing.T) {
	w := watch(t)
	w.sender.Stop(syscall.SIGKILL)
	w.WaitText("lost the connection to the sender")
	dimmed := func() bool {
		screen, place := w.display.Screenshot(t), windowBounds(t, w.display)
		r, g, b, _ := screen.At(place.Min.X+40, place.Max.Y-20).RGBA() // the grey bar
		return r>>8 > 40 && r>>8 < 80 && r == g && g == b
	}
	harness.WaitUntil(t, "the dimmed frame", dimmed)
	dead := w.child(t)
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	harness.WaitUntil(t, "another window", func() bool { return w.child(t) != dead })
	harness.WaitUntil(t, "the dimmed frame again", dimmed)
	golden.Keep(t, "window-died-while-paused", w.display.Screenshot(t))
}

// TestDisplayDies: with a recording the viewer goes on, without anything else to
// do it ends and prints why.
func TestDisplayDies(t *testing.T) {
	t.Run("recording", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a.mkv")
		w := watch(t, "--record="+file)
		w.display.Kill()
		w.WaitText("X11")
		w.recordsOn(t)
		if code := w.Stop(syscall.SIGINT); code != 0 {
			t.Errorf("exit code %d", code)
		}
		recorded := strings.TrimSpace(harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries", "stream=nb_read_frames", file))
		if n, err := strconv.Atoi(recorded); err != nil || n < 15 {
			t.Errorf("%q frames were recorded", recorded)
		}
	})
	t.Run("window alone", func(t *testing.T) {
		w := watch(t)
		w.display.Kill()
		if code := w.WaitExit(); code != 7 {
			t.Errorf("exit code %d", code)
		}
		lines := strings.Split(strings.TrimSpace(w.Err.String()), "\n")
		last := lines[len(lines)-1]
		if !strings.Contains(last, "window was closed") || !strings.Contains(last, "--virtual-camera") {
			t.Errorf("it ended with %q", last)
		}
	})
}

// TestWindowClosed: Q ends the window, and the viewer if there is nothing else.
func TestWindowClosed(t *testing.T) {
	w := watch(t, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	w.display.Xdotool(t, "key", "q")
	w.WaitText("other outputs continue")
	w.recordsOn(t)
	if code := w.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestNoDisplayAtTheStart: a display that is not there ends a viewer with nothing
// else to do before anything has come.
func TestNoDisplayAtTheStart(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	v := harness.Start(t, []string{"DISPLAY=:54321"}, "tbcam-view", flag, "--window")
	if code := v.WaitExit(); code != 7 {
		t.Errorf("exit code %d", code)
	}
	v.WaitText(":54321")
}

// TestWaylandWithoutX: what the window needs is named, whether it was asked for or is
// the default.
func TestWaylandWithoutX(t *testing.T) {
	for _, flags := range [][]string{nil, {"--window"}} {
		flag, _ := harness.NewSocket(t)
		v := harness.Start(t, []string{"WAYLAND_DISPLAY=wayland-0"}, "tbcam-view", append(flags, flag)...)
		if code := v.WaitExit(); code != 7 || !strings.Contains(v.Err.String(), "Xwayland") {
			t.Errorf("%v: exit code %d, %q", flags, code, v.Err.String())
		}
	}
}

// TestTitle has the camera, its mode, and how many frames are shown.
func TestTitle(t *testing.T) {
	w := watch(t)
	name := func() string {
		return w.display.Xdotool(t, "search", "--onlyvisible", "--class", "tbcam", "getwindowname")
	}
	title := regexp.MustCompile(`^Test pattern, yuyv 640x480, [12345]\d fps - tbcam$`)
	harness.WaitUntil(t, "the title", func() bool { return title.MatchString(name()) })
	w.sender.Stop(syscall.SIGKILL)
	harness.WaitUntil(t, "no signal in the title", func() bool { return name() == "Test pattern, yuyv 640x480, no signal - tbcam" })
}

// TestStatisticsKey: I shows a line, and then a graph and a table, which reach
// down to the grey bar.
func TestStatisticsKey(t *testing.T) {
	w := watch(t)
	bar := func() uint32 {
		at := windowBounds(t, w.display).Min
		r, _, _, _ := w.display.Screenshot(t).At(at.X+14, at.Y+220).RGBA()
		return r >> 8
	}
	w.display.Xdotool(t, "key", "i")
	time.Sleep(1500 * time.Millisecond) // for something to look at
	golden.Keep(t, "window-statistics-line", w.display.Screenshot(t))
	if r := bar(); r < 180 {
		t.Errorf("a line of statistics covers the bar: its red is %d", r)
	}
	w.display.Xdotool(t, "key", "i")
	harness.WaitUntil(t, "the table", func() bool { return bar() < 100 })
	golden.Keep(t, "window-statistics-graph", w.display.Screenshot(t))
}

// TestControlsPanel: C opens the panel, in which the far camera's brightness is
// changed and reset; the frame shows it.
func TestControlsPanel(t *testing.T) {
	w := watch(t)
	bar := func() uint32 {
		at := windowBounds(t, w.display)
		r, _, _, _ := w.display.Screenshot(t).At(at.Min.X+40, at.Max.Y-20).RGBA()
		return r >> 8
	}
	usual := bar()
	w.display.Xdotool(t, "key", "c")
	for end := time.Now().Add(harness.Patience); bar() > usual-30; { // the panel's list comes from the sender
		if time.Now().After(end) {
			t.Fatalf("the bar is as bright as before, %d", usual)
		}
		w.display.Xdotool(t, "key", "Home")
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(time.Second) // for the value that was granted
	golden.Keep(t, "window-controls", w.display.Screenshot(t))
	w.display.Xdotool(t, "key", "BackSpace")
	harness.WaitUntil(t, "the default", func() bool { return bar() == usual })
}

// TestSnapshotKey: S writes an image and, where the camera sends JPEG, the file
// that it sent, byte for byte; the window shows where.
func TestSnapshotKey(t *testing.T) {
	whole, err := os.ReadFile("../../../../fixtures/jpeg/good-420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "stream")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	display, dir := xvfb.Start(t), t.TempDir()
	v := harness.StartIn(t, dir, []string{"DISPLAY=" + display.Name}, "tbcam-view", "--stream="+fifo, "--window")
	camera, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	send := func() {
		if _, err := camera.Write(whole); err != nil {
			t.Error(err)
		}
	}
	for range 3 { // a first frame waits for a second of its size, which ends where a third begins
		send()
	}
	v.WaitText("camera is on")
	display.Window(t, "tbcam")
	var files []string
	harness.WaitUntil(t, "a snapshot", func() bool {
		send() // the end of a plain frame is where the next one begins
		if len(files) == 0 {
			display.Xdotool(t, "key", "s")
			time.Sleep(100 * time.Millisecond)
		}
		files, err = filepath.Glob(filepath.Join(dir, "tbcam-*.png"))
		return err == nil && len(files) > 0
	})
	golden.Keep(t, "window-snapshot", display.Screenshot(t))
	v.WaitText("saved " + dir)
	wantSnapshot(t, files[0], whole)
}

// wantSnapshot checks a PNG, and that the JPEG beside it is the camera's own.
func wantSnapshot(t *testing.T, path string, whole []byte) {
	t.Helper()
	jpeg, err := os.ReadFile(strings.TrimSuffix(path, ".png") + ".jpg")
	if err != nil || !bytes.Equal(jpeg, whole) {
		t.Errorf("the JPEG of %d bytes is not the camera's of %d: %v", len(jpeg), len(whole), err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	config, err := png.DecodeConfig(file)
	if err := errors.Join(err, file.Close()); err != nil || config.Width == 0 {
		t.Errorf("the PNG is %+v: %v", config, err)
	}
}
