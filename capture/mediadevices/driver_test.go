package mediadevices_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/mediadevices/pkg/driver"
	_ "github.com/pion/mediadevices/pkg/driver/videotest"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/mediadevices"
)

// TestVideoTest: pion's own test driver is a camera: listed, opened, read, closed in the
// middle of a read, and opened again. Not in virtual time, of which it would keep a
// ticker.
func TestVideoTest(t *testing.T) {
	before := runtime.NumGoroutine()
	d := mediadevices.NewDriver(nil)
	device, err := d.Find("")
	if err != nil || device.Name != "VideoTest" || len(device.Modes) != 1 {
		t.Fatalf("%v, %v", device, err)
	}
	for range 2 {
		recordVideoTest(t, d, device)
		if device, err = d.FindAgain(device); err != nil {
			t.Fatal(err)
		}
	}
	left := runtime.NumGoroutine() - before
	for end := time.Now().Add(5 * time.Second); left > 0 && time.Now().Before(end); left = runtime.NumGoroutine() - before {
		time.Sleep(time.Millisecond) // Close has seen their end, the runtime not yet
	}
	if left > 0 {
		t.Errorf("%d goroutines are left", left)
	}
}

// recordVideoTest reads half a second of pion's test driver.
func recordVideoTest(t *testing.T, d capture.Driver, device capture.Device) {
	t.Helper()
	var pool capture.Pool
	s, err := d.Open(device, device.Modes[0], &pool)
	if err != nil {
		t.Fatal(err)
	}
	if want := "422p 640x480 30 fps"; s.Mode().String() != want || s.Format() != (capture.Format{Pixel: capture.YUV422P, Width: 640, Height: 480}) {
		t.Errorf("mode %v, format %v; want %v", s.Mode(), s.Format(), want)
	}
	var last time.Time
	for i := range uint32(15) {
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		// More may be superseded between Read and Lost.
		if f.Sequence < i || uint64(f.Sequence) > uint64(i)+s.Lost().Superseded || !f.Time.After(last) {
			t.Errorf("frame %d has the number %d and comes %v after the last one", i, f.Sequence, f.Time.Sub(last))
		}
		if last = f.Time; f.Data[0] != 235*75/100 { // white at 75 %
			t.Errorf("frame %d begins with the luma %d", i, f.Data[0])
		}
		f.Release()
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Read(); !errors.Is(err, capture.ErrClosed) {
		t.Errorf("a read after Close: %v", err)
	}
	if lost := s.Lost(); lost.Damaged > 0 || pool.Outstanding() != 0 {
		t.Errorf("lost %+v; %d frames are not released", lost, pool.Outstanding())
	}
}

// TestFindDriver: by ID, by name, and by itself: not a screen.
func TestFindDriver(t *testing.T) {
	f := newFake(t)
	if err := driver.GetManager().Register(&fake{modes: f.modes}, driver.Info{Label: "a screen", DeviceType: driver.Screen, Priority: 9}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deleteDrivers("a screen") })
	d := offer("fake", "a screen")
	devices, err := d.Devices()
	if err != nil || len(devices) != 2 || devices[0].Name != "a screen" {
		t.Fatalf("%v, %v", devices, err)
	}
	for name, want := range map[string]string{"": "fake", "screen": "a screen", devices[1].Path: "fake"} {
		if got, err := d.Find(name); err != nil || got.Name != want {
			t.Errorf("%q is %q, %v; want %q", name, got.Name, err, want)
		}
	}
	if _, err := d.Find("none"); !errors.Is(err, capture.ErrNoCamera) {
		t.Error(err)
	}
	none := mediadevices.NewDriver(func() []driver.Driver { return nil })
	if _, err := none.Find(""); !errors.Is(err, capture.ErrNoneFound) {
		t.Error(err)
	}
	if f.checkEnd(t, &capture.Pool{}); f.opened == 0 {
		t.Error("the modes of the driver were not asked for")
	}
}

// TestUnusableDriver: one that cannot be opened is reported, and is not listed.
func TestUnusableDriver(t *testing.T) {
	f := newFake(t)
	f.refuse = errRefused
	d := offer("fake")
	if devices, _ := d.Devices(); len(devices) != 0 {
		t.Errorf("listed: %v", devices)
	}
	if errs := d.Unusable(); len(errs) != 1 || !errors.Is(errs[0], errRefused) {
		t.Errorf("reported: %v", errs)
	}
}

// TestOpenErrors: in use, gone, and without a mode.
func TestOpenErrors(t *testing.T) { synctest.Test(t, testOpenErrors) }

func testOpenErrors(t *testing.T) {
	f := newFake(t, grey(4, 2, 1))
	d, device := findFake(t)
	var pool capture.Pool
	s, err := d.Open(device, capture.Mode{}, &pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(device, capture.Mode{}, &pool); !errors.Is(err, capture.ErrBusy) {
		t.Errorf("a second opening: %v", err)
	}
	if again, err := d.FindAgain(device); err != nil || len(again.Modes) != 1 {
		t.Errorf("while it is open: %v, %v", again, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	f.modes = []prop.Media{media(frame.FormatZ16, 4, 2, 30), media(frame.FormatI420, 1<<20, 1, 30)}
	if _, err := d.Open(device, capture.Mode{}, &pool); !errors.Is(err, capture.ErrNoMode) {
		t.Errorf("without a mode: %v", err)
	}
	deleteDrivers("fake")
	if _, err := d.Open(device, capture.Mode{}, &pool); !errors.Is(err, capture.ErrGone) {
		t.Errorf("without the driver: %v", err)
	}
	f.checkEnd(t, &pool)
}

// TestNearestMode: the mode that is recorded is the one that was asked for, or the
// nearest to it.
func TestNearestMode(t *testing.T) { synctest.Test(t, testNearestMode) }

func testNearestMode(t *testing.T) {
	f := newFake(t)
	f.modes = []prop.Media{
		media(frame.FormatYUYV, 640, 480, 30), media(frame.FormatMJPEG, 1280, 720, 29.97),
		media(frame.FormatI420, 1280, 720, 10), media("odd", 1920, 1080, 30), media("", 320, 240, float32(-1)),
	}
	d, device := findFake(t)
	want := []string{"422p 640x480 30 fps", "422p 1280x720 29.97 fps", "yu12 1280x720 10 fps", "ab24 320x240"}
	var got []string
	for _, m := range device.Modes {
		got = append(got, m.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("modes %q, want %q", got, want)
	}
	for i, m := range append(device.Modes, capture.Mode{Pixel: capture.NV12, Width: 1300, Height: 700, Rate: capture.Rate{Num: 25, Den: 1}}) {
		var pool capture.Pool
		f.images = make(chan image.Image, 1)
		f.images <- grey(640, 480, 1)
		s, err := d.Open(device, m, &pool)
		if err != nil {
			t.Fatal(err)
		}
		if wanted := want[min(i, 4)%4+i/4]; fmt.Sprint(s.Mode().Rate) != fmt.Sprint(device.Modes[slices.Index(want, wanted)].Rate) {
			t.Errorf("%v: recorded at %v, want %v", m, s.Mode(), wanted)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestWatch: drivers that come and go are reported within a second.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changes, err := offer("fake").Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i, change := range []func(){func() { registerFake(t, &fake{}, "fake") }, func() { deleteDrivers("fake") }, func() {}} {
			change()
			select {
			case <-changes:
				if i == 2 {
					t.Error("a change is reported that was none")
				}
			case <-time.After(1100 * time.Millisecond):
				if i < 2 {
					t.Errorf("change %d is not reported", i)
				}
			}
		}
		cancel()
		if _, ok := <-changes; ok {
			t.Error("the channel is open after the end")
		}
	})
}

// TestNoControls: pion's drivers have none.
func TestNoControls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := mediadevices.NewDriver(nil).OpenControls(capture.Device{})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := c.List(); len(list) != 0 || err != nil {
			t.Errorf("%v, %v", list, err)
		}
		if _, err := c.Set(capture.Setting{}); !errors.Is(err, capture.ErrNoControl) {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() { _ = errors.Join(c.Close(), c.Close()) })
		if err := c.Wait(); !errors.Is(err, capture.ErrClosed) {
			t.Error(err)
		}
	})
}
