package window

import (
	"fmt"
	"image"
	"image/color"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// nextBut waits for an event of another kind than Shown.
func nextBut(t *testing.T, w *Window) Event {
	t.Helper()
	for {
		if e := next(t, w); e.Kind != Shown {
			return e
		}
	}
}

// TestKeys presses the keys that tbcam-view acts on.
func TestKeys(t *testing.T) {
	d := openDesk(t)
	shown := d.show(t, wide, bars(wide))
	for _, c := range []struct {
		key  string
		want Event
	}{
		{"s", Event{Kind: Snapshot, Sequence: shown.Sequence, At: shown.At}},
		{"v", Event{Kind: Record}},
		{"p", Event{Kind: Confirm}},
		{"a", Event{Kind: Mute}},
		{"i", Event{Kind: Statistics, On: true}},
		{"i", Event{}}, // more of them
		{"i", Event{Kind: Statistics}},
		{"alt+s", Event{}}, // the desktop's
		{"x", Event{}},
		{"q", Event{Kind: Quit}},
	} {
		d.Xdotool(t, "key", c.key)
		if c.want != (Event{}) {
			if e := nextBut(t, d.Window); e != c.want {
				t.Errorf("%s: %+v, want %+v", c.key, e, c.want)
			}
		}
	}
	if err := ended(t, d.Window); err != ErrClosed {
		t.Errorf("gone: %v", err)
	}
}

// TestMeter: the window reports whether the level of the microphone is seen, where there is
// one, and the switch in the panel mutes it.
func TestMeter(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	want := func(key string, want ...Event) {
		t.Helper()
		d.Xdotool(t, "key", key)
		for _, w := range want {
			if e := nextBut(t, d.Window); e != w {
				t.Errorf("%s: %+v, want %+v", key, e, w)
			}
		}
	}
	want("c")
	want("c")
	d.SetMicrophone(shm.Microphone{Level: -20, Flows: true})
	want("c", Event{Kind: Meter, On: true})
	_, place := d.Display.Window(t, "tbcam")
	d.until(t, func(s image.Image) error { // the row is above the header
		return wrongPixel(s, place.Max.X-340+150, place.Min.Y+21, color.RGBA{0x7f, 0xb2, 0xe8, 0xff})
	})
	d.Xdotool(t, "mousemove", fmt.Sprint(place.Max.X-30), fmt.Sprint(place.Min.Y+21), "click", "1")
	if e := nextBut(t, d.Window); e.Kind != Mute {
		t.Errorf("%+v", e)
	}
	want("i", Event{Kind: Statistics, On: true})
	want("c")
	want("i")
	want("i", Event{Kind: Statistics}, Event{Kind: Meter})
}

// TestControls changes controls with the keys and with the mouse.
func TestControls(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	d.SetControls(camera())
	set := func(id uint32, value int64) {
		t.Helper()
		if e := nextBut(t, d.Window); e.Kind != SetControl || e.Control != id || e.Value != value {
			t.Errorf("%+v, want control %d to become %d", e, id, value)
		}
	}
	d.Xdotool(t, "key", "c")
	d.Xdotool(t, "key", "Right")
	set(1, 1)
	d.Xdotool(t, "key", "shift+Left")
	set(1, -9)
	d.Xdotool(t, "key", "BackSpace")
	set(1, 0)
	d.Xdotool(t, "key", "Down")
	d.Xdotool(t, "key", "End")
	set(2, 95)
	d.Xdotool(t, "keydown", "Left") // repeats while it is held
	set(2, 94)
	set(2, 93)
	set(2, 92)
	d.Xdotool(t, "keyup", "Left")

	// The panel is 340 wide, its header 40 high, its first row 50.
	_, place := d.Display.Window(t, "tbcam")
	at := func(x, y int) []string {
		return []string{"mousemove", "--sync", fmt.Sprint(place.Max.X - 340 + x), fmt.Sprint(place.Min.Y + y)}
	}
	drain(d.Window)
	d.Xdotool(t, at(20, 78)...)
	d.Xdotool(t, "mousedown", "1")
	set(1, -64)
	d.Xdotool(t, at(330, 78)...)
	d.Xdotool(t, "mouseup", "1")
	last := nextBut(t, d.Window)
	for last.Value != 64 {
		last = nextBut(t, d.Window)
	}
	drain(d.Window)
	d.Xdotool(t, append(at(310, 157), "click", "1")...)
	set(3, 0)
	d.Xdotool(t, append(at(260, 342), "click", "1")...)
	set(1, 0) // all defaults
	set(2, 32)
	set(3, 1)
	d.Xdotool(t, append(at(170, 78), "click", "1")...) // down and up together
	set(1, 0)
	drain(d.Window)
	d.Xdotool(t, at(30, 78)...) // is no drag
	d.Xdotool(t, "key", "s")
	if e := nextBut(t, d.Window); e.Kind != Snapshot {
		t.Errorf("%+v", e)
	}
	d.Xdotool(t, "key", "Escape")
	d.until(t, func(s image.Image) error { return wrongBars(s, place, wide) })
}

// drain receives events until there are no more for a moment.
func drain(w *Window) {
	for {
		select {
		case <-w.Events():
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}

// corner waits until the white block of the scene is in one corner of the window
// and in no other; none for none at all.
func (d *desk) corner(t *testing.T, name string) {
	t.Helper()
	d.until(t, func(screen image.Image) error {
		_, w := d.Display.Window(t, "tbcam")
		var at []string
		for corner, p := range map[string]image.Point{
			"left": w.Min.Add(image.Pt(9, 9)), "right": {w.Max.X - 9, w.Min.Y + 9},
			"lower left": {w.Min.X + 9, w.Max.Y - 9}, "lower right": w.Max.Sub(image.Pt(9, 9)),
		} {
			if screen.At(p.X, p.Y).(color.RGBA).R > 230 {
				at = append(at, corner)
			}
		}
		if got := strings.Join(at, ", "); got != name {
			return fmt.Errorf("the block is at %q, not %q", got, name)
		}
		return nil
	})
}

// TestTurnAndZoom presses the keys, and moves the mouse, that change only how the
// frame is seen.
func TestTurnAndZoom(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, scene(wide))
	_, upright := d.Display.Window(t, "tbcam")
	d.corner(t, "left")
	for _, c := range []struct{ key, corner string }{
		{"m", "right"}, {"m", "left"}, {"r", "right"}, {"r", "lower right"}, {"m", "lower left"}, {"r", "left"}, {"m", "right"}, {"r", "lower right"}, {"r", "lower left"}, {"r", "left"},
	} {
		d.Xdotool(t, "key", c.key)
		d.corner(t, c.corner)
	}
	if _, w := d.Display.Window(t, "tbcam"); w != upright {
		t.Errorf("after all turns the window is at %v, not %v", w, upright)
	}
	middle := upright.Min.Add(upright.Size().Div(2))
	move := func(at image.Point) []string { // with --sync it waits for long where the mouse is there
		return []string{"mousemove", fmt.Sprint(at.X), fmt.Sprint(at.Y)}
	}
	d.Xdotool(t, append(move(middle), "click", "--repeat", "8", "--delay", "30", "4")...) // the wheel
	d.corner(t, "")
	for range 3 {
		d.Xdotool(t, append(move(middle), "mousedown", "1")...)
		time.Sleep(100 * time.Millisecond) // as people take
		d.Xdotool(t, move(upright.Max.Sub(image.Pt(1, 1)))...)
		time.Sleep(100 * time.Millisecond)
		d.Xdotool(t, "mouseup", "1")
		time.Sleep(100 * time.Millisecond)
	}
	d.until(t, func(s image.Image) error { // the block fills what is seen, but for the chip
		return wrongPixel(s, middle.X-200, middle.Y, reference(wide, [3]uint8{235, 128, 128}))
	})
	d.Xdotool(t, "key", "0")
	d.corner(t, "left")
	keys("plus", "plus", "Down", "Down")(t, d)
	d.corner(t, "")
	keys("minus", "minus", "minus")(t, d)
	d.corner(t, "left")
}

// TestFreeze: a frozen window keeps its frame and sleeps; then it shows the
// newest one.
func TestFreeze(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, scene(wide))
	d.corner(t, "left")
	d.Xdotool(t, "key", "space")
	time.Sleep(200 * time.Millisecond)
	before := d.Stats()
	for range 10 {
		d.last++
		fr := frame(t, d.pool, wide, d.last, 0)
		if err := d.Present(fr); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.corner(t, "left")
	if after := d.Stats(); after.Shown != before.Shown {
		t.Errorf("%d frames were shown", after.Shown-before.Shown)
	}
	d.Xdotool(t, "key", "s")
	if e := nextBut(t, d.Window); e.Kind != Snapshot || e.Sequence != d.last-10 {
		t.Errorf("%+v, not of the frame that is seen", e)
	}
	d.Xdotool(t, "key", "space")
	d.corner(t, "")
	if e := next(t, d.Window); e.Kind != Shown || e.Sequence != d.last {
		t.Errorf("%+v, not of the newest frame", e)
	}
}

// TestNewFormatWhileFrozen: what was frozen is gone with its format.
func TestNewFormatWhileFrozen(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, scene(wide))
	d.Xdotool(t, "key", "space")
	time.Sleep(200 * time.Millisecond)
	d.show(t, grey, bars(grey))
}

// TestManaged presses the keys that a window manager acts on.
func TestManaged(t *testing.T) {
	display := xvfb.Start(t)
	display.Manage(t)
	d := openOn(t, display)
	d.show(t, wide, bars(wide))
	id, place := d.Display.Window(t, "tbcam")
	if place.Dx() != wide.Width || place.Dy() != wide.Height {
		t.Errorf("window is %v", place)
	}
	becomes := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it does not become %s: %v, border %v", what, d.State(t, id), d.Frame(t, id))
			}
		}
	}
	border := func() bool { return slices.ContainsFunc(d.Frame(t, id), func(width uint32) bool { return width > 0 }) }
	above := func() bool { return d.State(t, id)["_NET_WM_STATE_ABOVE"] }
	full := func() bool {
		_, place := d.Display.Window(t, "tbcam")
		return d.State(t, id)["_NET_WM_STATE_FULLSCREEN"] && place == image.Rect(0, 0, xvfb.Width, xvfb.Height)
	}
	not := func(f func() bool) func() bool { return func() bool { return !f() } }
	becomes("decorated", border)
	for _, c := range []struct {
		key  string
		what string
		is   func() bool
	}{
		{"t", "on top", above}, {"t", "not on top", not(above)},
		{"b", "without a border", not(border)}, {"b", "with a border", border},
		{"f", "full screen", full}, {"f", "a window", not(full)},
		{"f", "full screen", full}, {"Escape", "a window", not(full)},
	} {
		d.Xdotool(t, "key", "--window", fmt.Sprint(id), c.key)
		becomes(c.what, c.is)
	}
	d.Xdotool(t, "mousemove", "630", "400", "click", "--repeat", "2", "--delay", "100", "1")
	becomes("full screen", full)
	d.golden(t, "fullscreen", image.Rect(0, 0, xvfb.Width, xvfb.Height))
}

// TestTitle: a title has any characters.
func TestTitle(t *testing.T) {
	d := openDesk(t)
	d.SetTitle("tbcam: größer")
	d.Xdotool(t, "search", "--sync", "--name", "tbcam: größer")
}

// TestLateControls: values that the camera grants replace those that were asked for.
func TestLateControls(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	d.SetControls(camera())
	d.Xdotool(t, "key", "c")
	d.Xdotool(t, "key", "End")
	if e := nextBut(t, d.Window); e.Value != 64 {
		t.Errorf("%+v", e)
	}
	granted := camera()
	granted[0].Value = -64
	d.SetControls(granted)
	_, place := d.Display.Window(t, "tbcam")
	knob := func(x int) func(image.Image) error { // of the first slider
		return func(s image.Image) error {
			if c := s.At(place.Max.X-340+x, place.Min.Y+78).(color.RGBA); c.B < 0xd0 {
				return fmt.Errorf("the knob is not at %d, where %v is", x, c)
			}
			return nil
		}
	}
	d.until(t, knob(318))
	d.until(t, knob(22))
}

// TestManualListsTheKeys: the manual page names each key that the help does.
func TestManualListsTheKeys(t *testing.T) {
	page, err := os.ReadFile("../../docs/tbcam-window.1")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`\-`, "-", `\(mi`, "−", `\(de`, "°", `\(ua`, "↑", `\(da`, "↓", `\(<-`, "←", `\(->`, "→").Replace(string(page))
	for _, k := range append(slices.Clone(shm.Keys), shm.PanelKeys...) {
		if !strings.Contains(text, "\n.TP\n"+k.Name+"\n") {
			t.Errorf("%q is not in the manual", k.Name)
		}
	}
}
