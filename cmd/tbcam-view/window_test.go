package main

import (
	"errors"
	"fmt"
	"image/color"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/window"
)

// far is a camera whose controls the window's user changes: it grants even values
// alone.
type far struct {
	window    *windowOutput
	mu        sync.Mutex
	control   capture.Control
	recording bool
	refuses   bool
	confirmed bool
	muted     bool
}

func (f *far) actions() windowActions {
	return windowActions{
		confirmPairing: func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.confirmed = true
			return true
		},
		toggleMute: func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.muted = !f.muted
			return f.muted
		},
		toggleRecording: func() (string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.recording = !f.recording
			f.window.recordingChanged(f.recording)
			return "recording", nil
		},
		setControl: func(id uint32, value int64, failed func(error)) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.refuses || id != f.control.ID {
				go failed(errors.New("the sender does not allow changing them"))
				return
			}
			f.control.Value = value &^ 1
			f.window.ControlsChanged([]capture.Control{f.control})
		},
	}
}

// is waits until a condition holds for the camera.
func (f *far) is(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waitFor(t, what, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return ok()
	})
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// buildWindow puts the window's program into PATH.
func buildWindow(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir, "../tbcam-window").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestActions: keys in a real window have their effect, and what they change is seen.
func TestActions(t *testing.T) {
	buildWindow(t)
	display := xvfb.Start(t)
	t.Setenv("DISPLAY", display.Name)
	var pool capture.Pool
	f := &far{control: capture.Control{ID: 7, Name: "Gain", Type: "int", Max: 100, Step: 1}}
	s := newWindowOutput(windowConfig{
		log: slog.New(slog.DiscardHandler), pool: &pool, actions: f.actions(), shown: meter.New().Add, hears: true,
		summary: func() meter.Summary { return meter.Summary{} }, end: func(error) {}, alone: func() bool { return true },
	})
	f.window = s
	s.ControlsChanged([]capture.Control{f.control})
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	s.ModeChanged("far", capture.Mode{Pixel: capture.GREY, Width: 640, Height: 360})
	present := func(value byte) {
		t.Helper()
		frame := pool.Get(640 * 360)
		frame.Format = capture.Format{Pixel: capture.GREY, Width: 640, Height: 360, Range: capture.Full}
		for i := range frame.Data {
			frame.Data[i] = value
		}
		if err := s.Present(frame); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(what string, x, y int, is func(color.RGBA) bool) {
		t.Helper()
		waitFor(t, what, func() bool {
			_, w := display.Window(t, "tbcam")
			return is(display.Screenshot(t).At(w.Min.X+x, w.Min.Y+y).(color.RGBA))
		})
	}
	present(100)
	shows("the frame", 300, 180, func(c color.RGBA) bool { return c == color.RGBA{100, 100, 100, 255} })
	shows("no signal", 300, 100, func(c color.RGBA) bool { return c == color.RGBA{30, 30, 30, 255} }) // nothing comes
	present(200)
	shows("the next frame", 300, 100, func(c color.RGBA) bool { return c == color.RGBA{200, 200, 200, 255} })

	display.Xdotool(t, "key", "v")
	f.is(t, "a recording", func() bool { return f.recording })
	shows("the red dot", 584, 22, func(c color.RGBA) bool { return c.R > 200 && c.G < 120 })

	display.Xdotool(t, "key", "p")
	f.is(t, "a confirmed sender", func() bool { return f.confirmed })

	if s.Listens() {
		t.Error("it takes blocks that nobody sees the level of")
	}
	display.Xdotool(t, "key", "c")
	waitFor(t, "a meter", s.Listens)
	for range loudnessBlocks {
		block := pool.Get(capture.Mono.BlockSize())
		block.Format = capture.Format{Audio: capture.Mono}
		for i := range block.Data {
			block.Data[i] = 0x20 // -12 dB
		}
		if err := s.Present(block); err != nil {
			t.Fatal(err)
		}
	}
	blue := func(c color.RGBA) bool { return c.B > 200 }
	shows("the level", 450, 21, blue)
	display.Xdotool(t, "key", "a")
	f.is(t, "silence", func() bool { return f.muted })
	shows("silence", 450, 21, func(c color.RGBA) bool { return !blue(c) })

	display.Xdotool(t, "key", "End")
	f.is(t, "the largest value", func() bool { return f.control.Value == 100 })
	display.Xdotool(t, "key", "Left")
	f.is(t, "a granted value", func() bool { return f.control.Value == 98 })

	f.mu.Lock()
	f.refuses = true
	f.mu.Unlock()
	display.Xdotool(t, "key", "Home")
	shows("a notice", 150, 336, func(c color.RGBA) bool { return c.R < 60 })

	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// TestTitleOfTheWindow: what is known is in it, and what is not is left out.
func TestTitleOfTheWindow(t *testing.T) {
	s := newWindowOutput(windowConfig{})
	for _, c := range []struct {
		do   func()
		fps  float64
		want string
	}{
		{func() {}, 0, "tbcam"},
		{func() {
			s.ModeChanged("HD", capture.Mode{Pixel: capture.MJPEG, Width: 1280, Height: 720, Rate: capture.Rate{Num: 30, Den: 1}})
		}, 0, "HD, mjpeg 1280x720, 30 fps - tbcam"},
		{func() {}, 14.9, "HD, mjpeg 1280x720, 15 fps - tbcam"},
		{func() { s.Notice(noSignal("unplugged")) }, 14.9, "HD, mjpeg 1280x720, no signal - tbcam"},
		{func() { s.Notice(sink.Notice{}) }, 30, "HD, mjpeg 1280x720, 30 fps - tbcam"},
	} {
		c.do()
		s.setRate(c.fps)
		if got := s.titleNow(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	s.Notice(noSignal("unplugged"))
	if want := fmt.Sprintf("No signal\nUnplugged\nsince %s", time.Now().Format("15:04")); s.text[:len(want)] != want {
		t.Errorf("the message is %q", s.text)
	}
}

// TestLineOfStatistics: it is of now, not of all the time since the start.
func TestLineOfStatistics(t *testing.T) {
	figures := func(ms, rate float64) meter.Figures {
		return meter.Figures{MBps: rate, Latency: []meter.Latency{{Stage: meter.StageNames[meter.Total], P50: ms, P99: 2 * ms}}}
	}
	s := meter.Summary{Report: meter.Report{Figures: figures(100, 1), LastSecond: figures(40, 5)}}
	if got, want := (&windowUpdater{fps: 30}).summaryLine(s), "30 fps · 40 ms, p99 80 ms · 5.0 MB/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNothingIsUpdated: nothing wakes the process up while its window shows nothing, and the
// rate is counted again when a frame is shown or the text over it changes.
func TestNothingIsUpdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newWindowOutput(windowConfig{})
		u := newWindowUpdater(s, nil)
		defer u.ticker.Stop()
		ticks := func() (n int) {
			for {
				select {
				case <-u.ticker.C:
					n++
					u.updateFigures()
				case <-s.noticed:
					u.wake()
				case <-time.After(2 * statusEvery):
					return n
				}
			}
		}
		if n := ticks(); n != 1 {
			t.Errorf("%d updates of nothing", n)
		}
		u.countEvent(window.Event{Kind: window.Shown})
		if n := ticks(); n != 3 || s.fps != 0 {
			t.Errorf("%d updates after a frame, %g fps", n, s.fps)
		}
		s.Notice(noSignal("unplugged"))
		if n := ticks(); n != 1 {
			t.Errorf("%d updates after a notice", n)
		}
	})
}
