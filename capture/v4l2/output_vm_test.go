//go:build vm

package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// tiny is the smallest that all versions of v4l2loopback take.
var tiny = capture.Format{Pixel: capture.YUYV, Width: 48, Height: 32}

func openOutput(t testing.TB, path string, f capture.Format) *Output {
	t.Helper()
	o, err := OpenOutput(path, f, capture.Rate{Num: 30, Den: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func modeOf(f capture.Format) capture.Mode {
	return capture.Mode{Pixel: f.Pixel, Width: f.Width, Height: f.Height}
}

// testFrame returns the nth of a row of frames that all differ.
func testFrame(f capture.Format, n int) *capture.Frame {
	size := f.Size()
	if f.Pixel.Compressed() {
		size = 1000 + n
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*7 + n*13)
	}
	return &capture.Frame{Format: f, Data: data}
}

func TestRoundTripThroughLoopback(t *testing.T) {
	for _, f := range []capture.Format{
		tiny,
		{Pixel: capture.YUYV, Width: 322, Height: 182, Matrix: capture.BT709, Range: capture.Full},
		{Pixel: capture.YUV420, Width: 322, Height: 182},
		{Pixel: capture.NV12, Width: 320, Height: 240, Range: capture.Full},
		{Pixel: capture.RGB24, Width: 50, Height: 40, Range: capture.Full},
		{Pixel: capture.GREY, Width: 64, Height: 64},
		{Pixel: capture.MJPEG, Width: 320, Height: 240, Range: capture.Full},
	} {
		t.Run(f.String(), func(t *testing.T) {
			path := vm.LoadLoopback(t)
			o := openOutput(t, path, f)
			// The reader does not get this one whole: when it asks for buffers 0.12.7
			// forgets how long frames were.
			if err := o.Write(testFrame(f, 0)); err != nil {
				t.Fatal(err)
			}
			s := start(t, path, modeOf(f))
			if s.Format() != f {
				t.Errorf("read as %#v, written as %#v", s.Format(), f)
			}
			if s.Mode().Rate != (capture.Rate{Num: 30, Den: 1}) {
				t.Errorf("rate %v", s.Mode().Rate)
			}
			next(t, s)
			for n := 1; n < 10; n++ {
				want := testFrame(f, n)
				if err := o.Write(want); err != nil {
					t.Fatal(err)
				}
				checkSame(t, s, want)
			}
		})
	}
}

func checkSame(t *testing.T, s *Source, want *capture.Frame) {
	t.Helper()
	got := next(t, s)
	if !bytes.Equal(got.Data, want.Data) {
		t.Errorf("%d bytes were written, read are %d others", len(want.Data), len(got.Data))
	}
	if age := time.Since(got.At[capture.Captured]); age < 0 || age > time.Minute {
		t.Errorf("captured %v ago", age)
	}
}

func TestOutputTakesOnlyItsFormat(t *testing.T) {
	o := openOutput(t, vm.LoadLoopback(t), tiny)
	other := tiny
	other.Width = 64
	if err := o.Write(testFrame(other, 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("a frame of %v: %v", other, err)
	}
}

func TestJPEGThatIsTooLarge(t *testing.T) {
	format := capture.Format{Pixel: capture.MJPEG, Width: 48, Height: 32, Range: capture.Full}
	o := openOutput(t, vm.LoadLoopback(t), format)
	f := &capture.Frame{Format: format, Data: make([]byte, 1<<20)}
	if err := o.Write(f); !errors.Is(err, ErrFormat) {
		t.Errorf("a megabyte for a frame of %v: %v", format, err)
	}
}

func TestNotALoopback(t *testing.T) {
	path := loadVivid(t)
	if _, err := Loopback(path); !errors.Is(err, ErrNotLoopback) {
		t.Errorf("Loopback: %v", err)
	}
	_, err := OpenOutput(path, tiny, capture.Rate{})
	if !errors.Is(err, ErrNotLoopback) || !strings.Contains(err.Error(), "it is vivid, driver vivid") {
		t.Errorf("OpenOutput: %v", err)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	path := vm.LoadLoopback(t)
	pid := hold(t, "output", path)
	_, err := OpenOutput(path, tiny, capture.Rate{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", pid)) {
		t.Errorf("OpenOutput: %v", err)
	}
	t.Log(err)
}

func TestFormatThatIsFixed(t *testing.T) {
	path := vm.LoadLoopback(t)
	o := openOutput(t, path, tiny)
	if err := o.Write(testFrame(tiny, 0)); err != nil {
		t.Fatal(err)
	}
	start(t, path, modeOf(tiny))
	o.Close()
	other := capture.Format{Pixel: capture.YUYV, Width: 64, Height: 64}
	_, err := OpenOutput(path, other, capture.Rate{})
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tiny.String()) {
		t.Errorf("OpenOutput: %v", err)
	}
	t.Log(err)
	nodes, err := Loopbacks()
	if err != nil || len(nodes) != 1 || nodes[0].Format != tiny {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	// The writer that comes back takes what its reader has.
	o = openOutput(t, path, tiny)
	if err := o.Write(testFrame(tiny, 0)); err != nil {
		t.Error(err)
	}
}

func TestLoopbackAnnouncesItself(t *testing.T) {
	path := vm.LoadLoopback(t)
	check := func(when string, capturing bool, format capture.Format) {
		t.Helper()
		nodes, err := Loopbacks()
		if err != nil || len(nodes) != 1 {
			t.Fatalf("%s: nodes %+v, %v", when, nodes, err)
		}
		n := nodes[0]
		t.Logf("%s: %+v", when, n)
		if n.Path != path || n.Name != "tbcam" || n.Format != format || n.Capture != capturing || n.Output == capturing {
			t.Errorf("%s: %+v", when, n)
		}
	}
	if n, err := Loopback(path); err != nil || n.Name != "tbcam" {
		t.Errorf("%+v, %v", n, err)
	}
	check("idle", false, capture.Format{})
	o := openOutput(t, path, tiny)
	if err := o.Write(testFrame(tiny, 0)); err != nil {
		t.Fatal(err)
	}
	check("written to", true, tiny)
	o.Close()
	check("idle again", false, capture.Format{})
}

func TestOutputLeaksNothing(t *testing.T) {
	path := vm.LoadLoopback(t)
	before := descriptors(t)
	for range 5 {
		o, err := OpenOutput(path, tiny, capture.Rate{})
		if err != nil {
			t.Fatal(err)
		}
		o.Close()
		if err := o.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := o.Write(testFrame(tiny, 0)); !errors.Is(err, capture.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// From 0.14 on the driver does not take over the colour where the size stays.
func TestColorOfTheNextWriter(t *testing.T) {
	path := vm.LoadLoopback(t)
	for _, want := range []capture.Format{
		tiny,
		{Pixel: tiny.Pixel, Width: tiny.Width, Height: tiny.Height, Matrix: capture.BT709, Range: capture.Full},
		tiny,
	} {
		o := openOutput(t, path, want)
		if err := o.Write(testFrame(want, 0)); err != nil {
			t.Fatal(err)
		}
		s := start(t, path, modeOf(want))
		if s.Format() != want {
			t.Errorf("read as %#v, written as %#v", s.Format(), want)
		}
		s.Close()
		o.Close()
	}
}
