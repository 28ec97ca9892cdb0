package window

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// scene paints bars with a white block in the upper left corner, so that it is
// seen which way the frame is turned.
func scene(f capture.Format) func([]byte) {
	return func(data []byte) {
		bars(f)(data)
		for y := range f.Height / 3 {
			line := data[y*f.Width:][:f.Width/4]
			for x := range line {
				line[x] = 235
			}
		}
	}
}

// camera has controls of each kind, more than a small window has room for.
func camera() []capture.Control {
	menu := []capture.ControlMenuItem{{Index: 1, Name: "Manual Mode"}, {Index: 3, Name: "Aperture Priority Mode"}}
	return []capture.Control{
		{ID: 1, Name: "Brightness", Type: "int", Min: -64, Max: 64, Step: 1, Value: 0},
		{ID: 2, Name: "Contrast", Type: "int", Max: 95, Step: 1, Default: 32, Value: 50},
		{ID: 3, Name: "White Balance, Automatic", Type: "bool", Max: 1, Step: 1, Default: 1, Value: 1},
		{ID: 4, Name: "Auto Exposure", Type: "menu", Max: 3, Default: 3, Value: 3, Menu: menu},
		{ID: 5, Name: "Exposure Time, Absolute", Type: "int", Min: 3, Max: 2047, Step: 1, Default: 250, Value: 250, Inactive: true},
		{ID: 6, Name: "Focus Now", Type: "button"},
		{ID: 7, Name: "Exposure, Dynamic Framerate", Type: "bool", Max: 1, Step: 1, Default: 0, Value: 0},
		{ID: 8, Name: "Power Line Frequency", Type: "menu", Max: 1, Menu: []capture.ControlMenuItem{{Index: 0, Name: "50 Hz"}, {Index: 1, Name: "60 Hz"}}},
		{ID: 9, Name: "Zoom, Absolute", Type: "int", Min: 100, Max: 500, Step: 10, Default: 100, Value: 100},
	}
}

// status is what tbcam-view sends.
var status = []string{
	"30 fps · 42 ms, p99 61 ms · 3.1 MB/s",
	"       frames shown   1234",
	"               sent   1240",
	"        latency, ms    p50    p95    p99    max",
	"             driver   0.70   1.09   2.04   5.93",
	"               wire   0.15   0.24   2.17   3.44",
	"              total  41.90  55.20  61.30  83.00",
}

// states are what the window can look like: what is done to a window that shows
// the scene in 640x360, one after another, and undone.
var states = []struct {
	name string
	do   func(t *testing.T, d *desk)
	undo func(t *testing.T, d *desk)
}{
	{"picture", nothing, nothing},
	{"letterbox", size(500, 400), size(640, 360)},
	{"mirrored", keys("m"), keys("m")},
	{"rotated", keys("r"), keys("r", "r", "r")},
	{"mirrored-rotated", keys("m", "r"), keys("r", "r", "r", "m")},
	{"zoomed", keys("plus", "plus", "Right", "Right", "Down"), keys("0")},
	{"frozen", keys("space"), keys("space")},
	{"no-signal", notice("No signal\ntbcam-send was closed.\nWaiting for tbcam-send since 14:03:12"), notice("")},
	{"statistics-line", keys("i"), nothing},
	{"statistics-graph", keys("i"), keys("i")},
	{"help", keys("h"), keys("h")},
	{"help-narrow", both(size(300, 400), keys("h")), both(keys("h"), size(640, 360))},
	{"controls", keys("c", "Down"), nothing},
	{"controls-scrolled", keys("Next", "Next"), nothing},
	{"controls-help", keys("h"), keys("Escape", "Escape")},
	{"small-controls", both(size(240, 160), keys("c")), keys("c")},
	{"small-statistics", keys("i", "i"), keys("i")},
	{"small-no-signal", notice("No signal\nThe camera is on but sends no frames\nsince 14:03:12"), both(notice(""), size(640, 360))},
	{"crowded-statistics", both(size(320, 240), both(record(true), keys("i", "i"))), nothing},
	{"crowded", longNotice, keys("i")},
	{"crowded-controls", both(keys("c"), longNotice), nothing},
	{"crowded-help", keys("h"), both(keys("Escape", "Escape"), both(record(false), size(640, 360)))},
	{"controls-locked", both(lockControls, keys("c")), keys("c")},
	{"controls-none", both(noControls, keys("c")), keys("c")},
	{"recording", record(true), record(false)},
	{"microphone-line", both(microphone(shm.Microphone{Level: -18, Flows: true}), keys("i")), nothing},
	{"microphone-graph", both(microphone(shm.Microphone{Level: -1, Flows: true}), keys("i")), keys("i")},
	{"microphone-muted", both(microphone(shm.Microphone{Level: -30, Flows: true, Muted: true}), keys("c")), nothing},
	{"microphone-off", both(microphone(shm.Microphone{Level: shm.MinLevel}), keys("i")), both(keys("c"), keys("i", "i"))},
	{"notice", func(_ *testing.T, d *desk) {
		d.Notice("Saved tbcam-20260102-150405.000.png and .jpg")
	}, nothing},
}

func microphone(m shm.Microphone) func(*testing.T, *desk) {
	return func(_ *testing.T, d *desk) { d.SetMicrophone(m) }
}

func nothing(*testing.T, *desk) {}

func record(on bool) func(*testing.T, *desk) {
	return func(_ *testing.T, d *desk) { d.SetRecording(on) }
}

func longNotice(_ *testing.T, d *desk) {
	d.Notice("Exposure Time, Absolute: 5000 is out of range (3 to 2047)")
}

// keys presses keys as fast as people do: of two presses of a key while the
// window draws it sees one.
func keys(names ...string) func(*testing.T, *desk) {
	return func(t *testing.T, d *desk) {
		for i, k := range names {
			if i > 0 {
				time.Sleep(150 * time.Millisecond)
			}
			d.Xdotool(t, "key", k)
		}
	}
}

func notice(text string) func(*testing.T, *desk) {
	return func(_ *testing.T, d *desk) { d.SetMessage(text) }
}

func size(width, height int) func(*testing.T, *desk) {
	return func(t *testing.T, d *desk) {
		id, _ := d.Display.Window(t, "tbcam")
		d.Xdotool(t, "windowsize", "--sync", fmt.Sprint(id), strconv.Itoa(width), strconv.Itoa(height))
	}
}

func both(first, second func(*testing.T, *desk)) func(*testing.T, *desk) {
	return func(t *testing.T, d *desk) {
		first(t, d)
		second(t, d)
	}
}

func noControls(_ *testing.T, d *desk) { d.SetControls(nil) }

// lockControls is what a sender with --no-remote-control comes to.
func lockControls(_ *testing.T, d *desk) {
	locked := camera()
	for i := range locked {
		locked[i].ReadOnly = true
	}
	d.SetControls(locked)
}

// TestStates compares the window in each state with a golden frame.
func TestStates(t *testing.T) {
	d := openDesk(t)
	d.SetMessage("Waiting for the camera\nStart tbcam-send on the other computer · stream “tbcam”\n\nH help, Q quit")
	_, place := d.Display.Window(t, "tbcam")
	d.golden(t, "waiting", place)
	d.SetMessage("")
	for i := range 240 {
		d.AddLatency(time.Duration(40e6 + 6e6*math.Sin(float64(i)/9) + 40e6*float64(i%97/96)))
	}
	d.show(t, wide, scene(wide))
	d.SetControls(camera())
	d.SetStatus(status)
	for _, s := range states {
		s.do(t, d)
		_, place := d.Display.Window(t, "tbcam")
		d.golden(t, s.name, place)
		s.undo(t, d)
	}
}

// TestHiDPIStates looks at a monitor of twice the usual dots, where texts and the
// panel are twice as large, and the mouse finds what it points at.
func TestHiDPIStates(t *testing.T) {
	display := xvfb.Start(t)
	display.SetDPI(t, "192")
	d := openOn(t, display)
	large := wide
	large.Width, large.Height = 1120, 640
	d.show(t, large, scene(large))
	d.SetControls(camera())
	d.SetStatus(status)
	keys("i", "c")(t, d)
	_, place := d.Display.Window(t, "tbcam")
	d.golden(t, "hidpi", place)
	drain(d.Window)
	d.Xdotool(t, "mousemove", fmt.Sprint(place.Max.X-60), fmt.Sprint(place.Min.Y+2*157), "click", "1")
	if e := nextBut(t, d.Window); e.Kind != SetControl || e.Control != 3 || e.Value != 0 {
		t.Errorf("%+v, want the white balance off", e)
	}
	d.Xdotool(t, "key", "h")
	d.golden(t, "hidpi-help", place)
}

// golden waits until a part of the screen looks as the golden frame of that
// name does, and keeps what it looks like.
func (d *desk) golden(t *testing.T, name string, place image.Rectangle) {
	t.Helper()
	path := filepath.Join("testdata", name+".png")
	if *golden.Update {
		time.Sleep(time.Second)
		_, place = d.Display.Window(t, "tbcam")
		golden.Write(t, path, crop(d.Screenshot(t), place))
	}
	want := golden.Read(t, path)
	t.Run(name, func(t *testing.T) {
		d.until(t, func(screen image.Image) error {
			_, place = d.Display.Window(t, "tbcam") // it may turn
			return differs(crop(screen, place), want)
		})
		golden.Keep(t, "window-state-"+name, crop(d.Screenshot(t), place))
	})
}

// The tolerance: graphics drivers round, and filter edges, each in its own way.
// In one pixel of many a colour may be more than a little off.
const (
	little = 24 // of 255
	many   = 200
)

// differs returns how a frame differs from the golden one, if it does.
func differs(got, want *image.RGBA) error {
	if got.Rect != want.Rect {
		return fmt.Errorf("it is %v, not %v", got.Rect.Size(), want.Rect.Size())
	}
	off := 0
	for i := 0; i < len(want.Pix); i += 4 {
		for c := range 3 {
			if d := int(got.Pix[i+c]) - int(want.Pix[i+c]); d < -little || d > little {
				off++
				break
			}
		}
	}
	if off > len(want.Pix)/4/many {
		return fmt.Errorf("%d of %d pixels differ", off, len(want.Pix)/4)
	}
	return nil
}

// TestDiffers: the tolerance lets no mistake through that a person would see.
func TestDiffers(t *testing.T) {
	want := golden.Read(t, "testdata/statistics-line.png")
	for name, change := range map[string]func(*image.RGBA){
		"another state": func(m *image.RGBA) {
			copy(m.Pix, golden.Read(t, "testdata/picture.png").Pix)
		},
		"one pixel to the right": func(m *image.RGBA) { copy(m.Pix[4:], m.Pix[:len(m.Pix)-4]) },
		"darker": func(m *image.RGBA) {
			draw.Draw(m, m.Rect, image.NewUniform(color.RGBA{A: 60}), image.Point{}, draw.Over)
		},
	} {
		got := image.NewRGBA(want.Rect)
		copy(got.Pix, want.Pix)
		if err := differs(got, want); err != nil {
			t.Errorf("the same: %v", err)
		}
		change(got)
		if differs(got, want) == nil {
			t.Errorf("%s: no difference", name)
		}
	}
}

func crop(screen image.Image, place image.Rectangle) *image.RGBA {
	m := image.NewRGBA(image.Rectangle{Max: place.Size()})
	draw.Draw(m, m.Rect, screen, place.Min, draw.Src)
	return m
}
