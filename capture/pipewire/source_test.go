package pipewire

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// names returns the names of devices.
func names(devices []capture.Device) (names []string) {
	for _, d := range devices {
		names = append(names, d.Path)
	}
	return names
}

// TestDevices: nodes are listed with their modes, but for our own.
func TestDevices(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: pwsession.TestNodes})
	s.Enter(t)
	publish(t, "tbcam", small)
	publish(t, "tbcam-2", small)
	publish(t, "phone", small)
	publish(t, "phone", small)
	devices, err := Driver{}.Devices()
	if err != nil || len(devices) != 3 || devices[0].Path != "pipewire:vt" || devices[1].Path == devices[2].Path {
		t.Fatalf("%v, %v", names(devices), err)
	}
	modes := devices[0].Modes
	if vt := (capture.Mode{Pixel: capture.RGB24, Width: 320, Height: 240, Rate: capture.Rate{Num: 25, Den: 1}}); !slices.Contains(modes, vt) {
		t.Errorf("the test camera has no %v, but %v", vt, modes)
	}
	if devices[0].Name != "Test camera" || !devices[0].IsOrdinary() {
		t.Errorf("it is %+v", devices[0])
	}
	want := []capture.Mode{{Pixel: small.Pixel, Width: 320, Height: 240, Rate: rate15}}
	if !slices.Equal(devices[1].Modes, want) {
		t.Errorf("a program's camera has %v, want %v", devices[1].Modes, want)
	}
	if d, err := (Driver{}).Find("test cam"); err != nil || d.Path != "pipewire:vt" {
		t.Errorf("found %v, %v", d.Path, err)
	}
	if d, err := (Driver{}).Find(""); err != nil || d.Path != "pipewire:vt" {
		t.Errorf("first is %v, %v", d.Path, err)
	}
	if _, err := (Driver{}).Find("tbcam"); !errors.Is(err, capture.ErrNoCamera) {
		t.Errorf("our own: %v", err)
	}
}

// v4l2Nodes are nodes of V4L2 devices: one that a session manager made, and one of a user's
// configuration.
const v4l2Nodes = `
context.spa-libs = { videotestsrc = videotestsrc/libspa-videotestsrc }
context.objects = [
  { factory = spa-node-factory args = { factory.name = videotestsrc node.name = v4l2_input.a media.class = Video/Source media.role = Camera device.api = v4l2 } }
  { factory = spa-node-factory args = { factory.name = videotestsrc node.name = v4l2_input.b media.class = Video/Source media.role = Camera api.v4l2.path = /dev/video9 } }
  { factory = spa-node-factory args = { factory.name = videotestsrc node.name = other media.class = Video/Source media.role = Camera device.api = libcamera } }
]
`

// TestV4L2Nodes: what the V4L2 driver has is not listed twice; cameras of another API are,
// with that as their driver.
func TestV4L2Nodes(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: v4l2Nodes})
	s.Enter(t)
	if all, err := Names(); err != nil || len(all) != 3 {
		t.Errorf("PipeWire has %v, %v", all, err)
	}
	devices, err := Driver{}.Devices()
	if err != nil || len(devices) != 1 || devices[0].Path != "pipewire:other" || devices[0].Driver != "libcamera" {
		t.Errorf("%+v, %v", devices, err)
	}
}

// openSource opens a device until the test ends.
func openSource(t *testing.T, name string, pixel capture.PixelFormat, pool *capture.Pool) capture.Source {
	t.Helper()
	d, err := Driver{}.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(d.Modes, func(m capture.Mode) bool { return m.Pixel == pixel && m.Width == 320 && m.Height == 240 })
	if i < 0 {
		t.Fatalf("%s has no %v", name, pixel)
	}
	source, err := Driver{}.Open(d, d.Modes[i], pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames are not released", n)
		}
	})
	return source
}

// TestSource: frames of another program's camera come whole, in order, with the time
// when they were captured; its end is reported.
func TestSource(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	o := publish(t, "phone", small)
	stop := play(t, o, small)
	var pool capture.Pool
	source := openSource(t, "phone", small.Pixel, &pool)
	if source.Format() != small || source.Mode().Rate != rate15 {
		t.Errorf("it delivers %v at %v", source.Format(), source.Mode())
	}
	last := uint32(0)
	for i := range 30 {
		f, err := source.Read()
		if err != nil {
			t.Fatal(err)
		}
		number := readCode(t, small, f.Data)
		if i > 0 && number <= last {
			t.Errorf("frame %d after %d", number, last)
		}
		if age := f.At[capture.Dequeued].Sub(f.Time); age < 0 || age > maxAge {
			t.Errorf("frame %d was captured %v before it was dequeued", number, age)
		}
		last = number
		f.Release()
	}
	t.Logf("lost %+v", source.Lost())
	stop()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := source.Read()
		if errors.Is(err, capture.ErrGone) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
}

// TestVideoTestSource: SPA's own test camera, in RGB.
func TestVideoTestSource(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: pwsession.TestNodes})
	s.Enter(t)
	var pool capture.Pool
	source := openSource(t, "pipewire:vt", capture.RGB24, &pool)
	for range 10 {
		f, err := source.Read()
		if err != nil {
			t.Fatal(err)
		}
		// The bars of SMPTE RP 219: the first one is grey.
		if f.Format.Pixel != capture.RGB24 || len(f.Data) != 320*240*3 || f.Data[0] < 150 || f.Data[0] != f.Data[1] {
			t.Errorf("%v begins with %v", f.Format, f.Data[:3])
		}
		f.Release()
	}
	// Close wakes a Read.
	time.AfterFunc(100*time.Millisecond, func() { source.Close() })
	for {
		f, err := source.Read()
		if errors.Is(err, capture.ErrClosed) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
}

// TestWatch: cameras that come and go are reported, with PipeWire itself too.
func TestWatch(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := Driver{}.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantChange := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(20 * time.Second):
			t.Errorf("no change after %s", what)
		}
	}
	o := publish(t, "phone", small)
	wantChange("a camera came")
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	wantChange("it went")
	s.Restart(pwsession.PipeWire)
	wantChange("the end of PipeWire")
	publish(t, "phone", small)
	wantChange("a camera came to the new one")
	cancel()
	for range changes {
	}
}

// TestNoPipeWire: what is missing is a typed error, or no camera.
func TestNoPipeWire(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("PIPEWIRE_RUNTIME_DIR", "")
	camera := Camera{Name: "tbcam", Description: "tbcam", Format: small, Rate: rate15}
	if _, err := OpenOutput(camera); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
	if devices, err := (Driver{}).Devices(); len(devices) > 0 || err != nil {
		t.Errorf("%v, %v", devices, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	if _, err := OpenOutput(camera); !errors.Is(err, ErrNoSession) {
		t.Errorf("without a session: %v", err)
	}
}

// TestNoSessionManager: a camera that nobody could connect to is an error.
func TestNoSessionManager(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	s.Stop(pwsession.WirePlumber, 15)
	if _, err := OpenOutput(Camera{Name: "tbcam", Description: "tbcam", Format: small, Rate: rate15}); !errors.Is(err, ErrNoSessionManager) {
		t.Errorf("%v", err)
	}
}

// TestControls: what a node lets others set is listed with its values, and set.
func TestControls(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: pwsession.TestNodes})
	s.Enter(t)
	d, err := Driver{}.Find("pipewire:vt")
	if err != nil {
		t.Fatal(err)
	}
	controls, err := Driver{}.OpenControls(d)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- controls.Wait() }()
	list, err := controls.List()
	if err != nil || !slices.EqualFunc(list, d.Controls, func(a, b capture.Control) bool { return a.ID == b.ID }) {
		t.Fatalf("%v, %v; the device has %v", list, err, d.Controls)
	}
	pattern, err := capture.FindControl(list, "The pattern")
	if err != nil {
		t.Fatal(err)
	}
	if pattern.Type != "menu" || pattern.Value != 0 || len(pattern.Menu) != 2 || pattern.Menu[1].Name != "Snow" {
		t.Errorf("it is %+v", pattern)
	}
	// SPA's test camera takes the value, and reports the old one.
	if _, err := controls.Set(capture.Setting{ID: pattern.ID, Value: 1}); err != nil {
		t.Error(err)
	}
	var pool capture.Pool
	source := openSource(t, "pipewire:vt", capture.RGB24, &pool)
	f, err := source.Read()
	if err != nil {
		t.Fatal(err)
	}
	if bar := f.Data[:60]; slices.Max(bar)-slices.Min(bar) < 64 {
		t.Errorf("it shows no snow: %v", bar)
	}
	f.Release()
	if _, err := controls.Set(capture.Setting{ID: 12345, Value: 1}); !errors.Is(err, capture.ErrNoControl) {
		t.Errorf("an unknown one: %v", err)
	}
	if err := controls.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, capture.ErrClosed) {
		t.Errorf("Wait: %v", err)
	}
	if _, err := controls.List(); !errors.Is(err, capture.ErrClosed) {
		t.Errorf("List after Close: %v", err)
	}
}

// TestExplainOpen: what the end of an opening means.
func TestExplainOpen(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.EIO: capture.ErrNoMode, syscall.EBUSY: capture.ErrBusy, syscall.ENODEV: capture.ErrGone,
		syscall.EPIPE: ErrLost, syscall.ETIMEDOUT: ErrTimeout,
	} {
		if err := explainOpen("pipewire:a", capture.Mode{}, -int(errno)); !errors.Is(err, want) {
			t.Errorf("%v becomes %v", errno, err)
		}
	}
}

// TestCaptureTime: a stamp that cannot be of the clock is replaced by the arrival.
func TestCaptureTime(t *testing.T) {
	const arrived = time.Hour
	for stamp, want := range map[time.Duration]time.Duration{
		arrived:                            arrived,
		arrived - 40*time.Millisecond:      arrived - 40*time.Millisecond,
		arrived - maxAge - time.Nanosecond: arrived,
		arrived + time.Nanosecond:          arrived,
		-1:                                 arrived,
	} {
		if got := captureTime(stamp, arrived).Sub(captureTime(arrived, arrived)); got != want-arrived {
			t.Errorf("%v becomes %v", stamp, got)
		}
	}
}
