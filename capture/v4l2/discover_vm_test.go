//go:build vm

package v4l2

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

func TestListVivid(t *testing.T) {
	// With a metadata node and one for output beside the camera.
	vm.Load(t, "vivid", "node_types=0x20101", "num_inputs=1", "input_types=0")
	cameras, err := driver.Devices()
	if err != nil || len(cameras) != 1 {
		t.Fatalf("cameras %v, %v", cameras, err)
	}
	c := cameras[0]
	if c.Name != "vivid" || c.Driver != "vivid" || c.Bus != "platform:vivid-000" {
		t.Errorf("it is %q, driver %q, at %q", c.Name, c.Driver, c.Bus)
	}
	if !slices.Contains(c.Modes, small) || !slices.Contains(c.Modes, capture.Mode{
		Pixel: capture.NV12, Width: 1920, Height: 1080, Rate: capture.Rate{Num: 5, Den: 1},
	}) {
		t.Errorf("modes %v", c.Modes)
	}
	t.Logf("%d modes", len(c.Modes))
}

func TestListControls(t *testing.T) {
	c, err := Describe(loadVivid(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []capture.Control{
		{Name: "Brightness", Type: "int", Max: 255, Step: 1, Default: 128, Value: 128},
		{Name: "Boolean", Type: "bool", Max: 1, Step: 1, Default: 1, Value: 1},
		{Name: "Button", Type: "button", WriteOnly: true},
		{Name: "Integer 64 Bits", Type: "int64", Min: -1 << 63, Max: 1<<63 - 1, Step: 1},
		{Name: "Integer 32 Bits", Type: "int", Min: -1 << 31, Max: 1<<31 - 1, Step: 1},
		{Name: "String", Type: "string", Min: 2, Max: 4, Step: 1, Text: "  "},
		{Name: "Bitmask", Type: "bitmask", Max: 0x80402010, Default: 0x80002000, Value: 0x80002000},
		{Name: "Read-Only Integer 32 Bits", Type: "int", Max: 255, Step: 1, ReadOnly: true},
		{Name: "Menu", Type: "menu", Min: 1, Max: 4, Step: 1, Default: 3, Value: 3, Menu: []capture.ControlMenuItem{
			{Index: 1, Name: "Menu Item 1"}, {Index: 3, Name: "Menu Item 3"}, {Index: 4, Name: "Menu Item 4"},
		}},
		{Name: "Integer Menu", Type: "intmenu", Min: 1, Max: 8, Step: 1, Default: 4, Value: 4, Menu: []capture.ControlMenuItem{
			{Index: 2, Name: "2"}, {Index: 3, Name: "3"}, {Index: 4, Name: "5"}, {Index: 5, Name: "8"},
			{Index: 6, Name: "13"}, {Index: 7, Name: "21"}, {Index: 8, Name: "42"},
		}},
	} {
		i := slices.IndexFunc(c.Controls, func(c capture.Control) bool { return c.Name == want.Name })
		if i < 0 {
			t.Errorf("there is no %q", want.Name)
			continue
		}
		got := c.Controls[i]
		got.ID, got.Inactive = 0, false
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestListCurrentValue(t *testing.T) {
	path := loadVivid(t)
	setControl(t, path, "Integer 32 Bits", -5)
	c, err := Describe(path)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Controls, func(c capture.Control) bool { return c.Name == "Integer 32 Bits" })
	if c.Controls[i].Value != -5 {
		t.Errorf("value %d", c.Controls[i].Value)
	}
}

// A grabber of television has a range of sizes, the one of vivid in steps of 2.
func TestListStepwiseSizes(t *testing.T) {
	path := vm.Load(t, "vivid", "node_types=0x1", "num_inputs=1", "input_types=1")[0]
	c, err := Describe(path)
	if err != nil {
		t.Fatal(err)
	}
	want := capture.Mode{Pixel: capture.YUYV, Width: 640, Height: 360, Rate: capture.Rate{Num: 25, Den: 1}}
	if !slices.ContainsFunc(c.Modes, func(m capture.Mode) bool { return m.Pixel == want.Pixel && m.Width == 640 && m.Height == 360 }) {
		t.Errorf("no mode like %v in %v", want, c.Modes)
	}
}

// TestMultiPlanar: a device with the multi-planar API alone is a camera as others,
// whether the planes of a frame lie in one buffer or each in its own.
func TestMultiPlanar(t *testing.T) {
	path := vm.Load(t, "vivid", "node_types=0x1", "multiplanar=2", "num_inputs=1", "input_types=0")[0]
	c, err := driver.Find("vivid")
	if err != nil || c.Path != path {
		t.Fatalf("Find: %v, %v", c, err)
	}
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.NV12, capture.YUV420, capture.YVU420, capture.YUV444, capture.NV16} {
		mode := small
		mode.Pixel = pixel
		if !slices.Contains(c.Modes, mode) {
			t.Errorf("%v is not listed", mode)
			continue
		}
		s := start(t, path, mode)
		if s.Mode() != mode {
			t.Errorf("granted %v, want %v", s.Mode(), mode)
		}
		if f := next(t, s); f.Format.Pixel != pixel || len(f.Data) != f.Format.Size() {
			t.Errorf("%d bytes of %v", len(f.Data), f.Format)
		}
		t.Logf("%v: %d buffers a frame", mode, s.perSet)
		s.Close()
	}
	mode := small
	mode.Pixel = capture.YUV444 // which has a buffer for each plane
	s := start(t, path, mode)
	next(t, s)
	if n := testing.AllocsPerRun(20, func() { readOnce(t, s) }); n != 0 || s.perSet != 3 {
		t.Errorf("%v allocations per frame, %d buffers", n, s.perSet)
	}
}

func readOnce(t *testing.T, s *Source) {
	t.Helper()
	f, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
}

func TestLoopbacksComeLast(t *testing.T) {
	loopback := vm.LoadLoopback(t, "video_nr=0")
	o := openOutput(t, loopback, tiny)
	if err := o.Write(testFrame(tiny, 0)); err != nil {
		t.Fatal(err)
	}
	vivid := loadVivid(t)
	cameras, err := driver.Devices()
	if err != nil || len(cameras) != 2 || cameras[0].Path != vivid || cameras[1].Path != loopback {
		t.Fatalf("cameras %v, %v", cameras, err)
	}
	want := []capture.Mode{{Pixel: tiny.Pixel, Width: tiny.Width, Height: tiny.Height, Rate: capture.Rate{Num: 30, Den: 1}}}
	if !slices.Equal(cameras[1].Modes, want) {
		t.Errorf("modes of the loopback %v", cameras[1].Modes)
	}
	for name, path := range map[string]string{"": vivid, "VIVID": vivid, "tbc": loopback} {
		if c, err := driver.Find(name); err != nil || c.Path != path {
			t.Errorf("driver.Find(%q): %s, %v", name, c.Path, err)
		}
	}
}

func TestFindByLink(t *testing.T) {
	path := loadVivid(t)
	link := filepath.Join(t.TempDir(), "usb-Camera-video-index0")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if c, err := driver.Find(link); err != nil || c.Path != path {
		t.Errorf("Find: %s, %v", c.Path, err)
	}
}

func TestDiscoveryLeaksNothing(t *testing.T) {
	loadVivid(t)
	before := descriptors(t)
	for range 3 {
		if _, err := driver.Devices(); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestReplugIsSeen(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := driver.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wait := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(20 * time.Second):
			t.Errorf("nothing reported that the camera was %s", what)
		}
	}
	path := loadVivid(t)
	wait("plugged in")
	c, err := driver.Find("")
	if err != nil {
		t.Fatal(err)
	}
	vm.Unload(t, "vivid")
	wait("unplugged")
	if _, err := driver.FindAgain(c); !errors.Is(err, capture.ErrNoCamera) {
		t.Errorf("FindAgain without a camera: %v", err)
	}
	// Its old number is taken when it comes back.
	vm.LoadLoopback(t, "video_nr=0")
	wait("replaced")
	loadVivid(t)
	wait("plugged in again")
	if again, err := driver.FindAgain(c); err != nil || again.Bus != c.Bus || again.Path == path {
		t.Errorf("FindAgain: %s, %v; it was %s", again.Path, err, path)
	}
	cancel()
	for range changes { // ends when the watch does
	}
}
