package pattern_test

import (
	"errors"
	"image"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
)

func openCamera(t *testing.T, mode capture.Mode) (capture.Source, *capture.Pool) {
	t.Helper()
	pool := &capture.Pool{}
	s, err := pattern.Open(mode, pool)
	if err != nil {
		t.Fatal(err)
	}
	return s, pool
}

// luma returns the brightness of the raw formats that the pattern has.
func luma(f *capture.Frame) func(x, y int) byte {
	planes, _ := f.Format.Planes()
	step := 1
	if f.Format.Pixel == capture.YUYV {
		step = 2
	}
	return func(x, y int) byte { return f.Data[y*planes[0].Stride+x*step] }
}

func TestEveryModeCarriesCounterAndTime(t *testing.T) {
	devices, _ := pattern.Driver{}.Devices()
	for i, device := range devices {
		for _, mode := range device.Modes {
			if i > 0 && (mode.Rate.Num != 30 || mode.Width > 1920) {
				continue // these were tried with the first camera
			}
			synctest.Test(t, func(t *testing.T) { checkCodes(t, device, mode, i+1) })
		}
	}
}

// checkCodes reads the codes of a camera that has a number.
func checkCodes(t *testing.T, device capture.Device, mode capture.Mode, number int) {
	pool := &capture.Pool{}
	s, err := pattern.Driver{}.Open(device, mode, pool)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for n := range 3 {
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		stamp, err := pattern.ReadLuma(image.Rect(0, 0, mode.Width, mode.Height), luma(f))
		if err != nil {
			t.Fatalf("%v: %v", mode, err)
		}
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(mode.Rate.Num))
		if int(stamp.Counter) != n || stamp.Counter != f.Sequence || stamp.Camera != number {
			t.Errorf("%v: camera %d, counter %d, sequence %d, want %d and %d", mode, stamp.Camera, stamp.Counter, f.Sequence, number, n)
		}
		if d := stamp.Time.Sub(due).Abs(); d > time.Microsecond {
			t.Errorf("%v: frame %d is stamped %v from when it was due", mode, n, d)
		}
		f.Release()
	}
	s.Close()
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// The cameras differ to the eye: in most of the bars.
func TestCamerasDiffer(t *testing.T) {
	devices, _ := pattern.Driver{}.Devices()
	devices = devices[:2]
	mode := capture.Mode{Pixel: capture.YUYV, Width: 160, Height: 120, Rate: capture.Rate{Num: 30, Den: 1}}
	var frames [2]*capture.Frame
	for i, device := range devices {
		s, err := pattern.Driver{}.Open(device, mode, &capture.Pool{})
		if err == nil {
			frames[i], err = s.Read()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer frames[i].Release()
	}
	same := 0
	for x := 10; x < mode.Width; x += mode.Width / 8 {
		if luma(frames[0])(x, 100) == luma(frames[1])(x, 100) {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d bars are the same", same)
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"pattern": "pattern", "pattern2": "pattern2", "test PATTERN 2": "pattern2", "pattern-photo": "pattern-photo", "test photo": "pattern-photo",
		"": "", "pat": "", "/dev/video0": "",
	} {
		got, err := pattern.Driver{}.Find(name)
		if got.Path != want || (want == "") != errors.Is(err, capture.ErrNoCamera) {
			t.Errorf("%q: %q, %v; want %q", name, got.Path, err, want)
		}
		if want != "" && (!got.Test || got.IsOrdinary()) {
			t.Errorf("%q is an ordinary camera", name)
		}
	}
}

func TestLateReaderGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openCamera(t, capture.Mode{Pixel: capture.YUYV, Width: 160, Height: 120, Rate: capture.Rate{Num: 10, Den: 1}})
		read := func() uint32 {
			f, err := s.Read()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Release()
			return f.Sequence
		}
		first := read()
		time.Sleep(450 * time.Millisecond)
		if late := read(); first != 0 || late != 4 {
			t.Errorf("read frames %d and, 450 ms later, %d; want 0 and 4", first, late)
		}
		if lost := s.Lost().Superseded; lost != 3 {
			t.Errorf("%d frames superseded, want 3", lost)
		}
	})
}

func TestCloseWakesRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openCamera(t, capture.Mode{Pixel: capture.NV12, Width: 160, Height: 120, Rate: capture.Rate{Num: 1, Den: 60}})
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
		go func() {
			time.Sleep(time.Second)
			s.Close()
			s.Close()
		}()
		if _, err := s.Read(); !errors.Is(err, capture.ErrClosed) {
			t.Errorf("Read returned %v, want ErrClosed", err)
		}
	})
}

func TestDamagedCodeIsRefused(t *testing.T) {
	s, _ := openCamera(t, capture.Mode{Pixel: capture.YUV420, Width: 320, Height: 240, Rate: capture.Rate{Num: 30, Den: 1}})
	f, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	bounds := image.Rect(0, 0, 320, 240)
	good := luma(f)
	for name, at := range map[string]func(x, y int) byte{
		"black":    func(x, y int) byte { return 0 },
		"white":    func(x, y int) byte { return 255 },
		"one cell": func(x, y int) byte { return map[bool]byte{true: 255 - good(x, y), false: good(x, y)}[x < 20 && y < 10] },
	} {
		if stamp, err := pattern.ReadLuma(bounds, at); !errors.Is(err, pattern.ErrNoCode) {
			t.Errorf("%s: read %v, %v; want ErrNoCode", name, stamp, err)
		}
	}
}

func BenchmarkRead1080p(b *testing.B) {
	mode := capture.Mode{Pixel: capture.YUYV, Width: 1920, Height: 1080, Rate: capture.Rate{Num: 1e6, Den: 1}}
	s, err := pattern.Open(mode, &capture.Pool{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := s.Read()
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}
