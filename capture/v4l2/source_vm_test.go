//go:build vm

package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

func TestCaptureFromVivid(t *testing.T) {
	path := loadVivid(t)
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.NV12, capture.YUV420, capture.RGB24} {
		t.Run(pixel.String(), func(t *testing.T) {
			mode := small
			mode.Pixel = pixel
			s := start(t, path, mode)
			if s.Mode() != mode {
				t.Errorf("granted %v, want %v", s.Mode(), mode)
			}
			last := next(t, s)
			for range 5 {
				f := next(t, s)
				checkFollows(t, last, f)
				last = f
			}
			t.Logf("lost %+v", s.Lost())
		})
	}
}

func checkFollows(t *testing.T, last, f *capture.Frame) {
	t.Helper()
	if f.Format != last.Format || len(f.Data) != f.Format.Size() {
		t.Errorf("%d bytes of %v after %v", len(f.Data), f.Format, last.Format)
	}
	if f.Sequence <= last.Sequence {
		t.Errorf("sequence %d after %d", f.Sequence, last.Sequence)
	}
	taken, dequeued := f.At[capture.Captured], f.At[capture.Dequeued]
	if !taken.After(last.At[capture.Captured]) || taken.After(dequeued.Add(time.Second)) || time.Since(taken) > time.Minute {
		t.Errorf("taken at %v, dequeued at %v, the one before taken at %v", taken, dequeued, last.At[capture.Captured])
	}
	if bytes.Count(f.Data, f.Data[:1]) == len(f.Data) {
		t.Error("the frame is one colour")
	}
}

// vivid pads its lines when it is asked to.
func TestPaddingOfTheDriverIsRemoved(t *testing.T) {
	path := loadVivid(t)
	setControl(t, path, "OSD Text Mode", 2) // no text, so that frames do not change
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.NV12, capture.YUV420} {
		mode := small
		mode.Pixel = pixel
		frames := make(map[string]bool)
		for _, stride := range []uint32{0, 1024} {
			pool := new(capture.Pool)
			s, err := openSource(path, mode, stride, pool)
			if err != nil {
				t.Fatal(err)
			}
			f := next(t, s)
			frames[string(f.Data)] = true
			if padded := s.packing.planes[0].stride == 1024; padded != (stride == 1024) {
				t.Errorf("%v: the driver's lines are %d bytes", pixel, s.packing.planes[0].stride)
			}
			s.Close()
		}
		if len(frames) != 1 {
			t.Errorf("%v: the padded frame is another one", pixel)
		}
	}
}

func TestGrantedModeIsTheDrivers(t *testing.T) {
	path := loadVivid(t)
	s := start(t, path, capture.Mode{Pixel: capture.YUYV, Width: 641, Height: 479, Rate: capture.Rate{Num: 1000, Den: 1}})
	want := capture.Mode{Pixel: capture.YUYV, Width: 640, Height: 480, Rate: s.Mode().Rate}
	if s.Mode() != want || s.Format().Width != 640 || s.Mode().Rate.FPS() > 100 {
		t.Errorf("granted %v, want %v", s.Mode(), want)
	}
}

func TestCloseWhileReading(t *testing.T) {
	path := loadVivid(t)
	for range 5 {
		s := start(t, path, small)
		result := make(chan error)
		go func() { result <- readToTheEnd(s) }()
		time.Sleep(100 * time.Millisecond)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, capture.ErrClosed) {
			t.Errorf("Read ended with %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if _, err := s.Read(); !errors.Is(err, capture.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
	}
}

// A loopback node whose writer is silent never wakes Read.
func TestCloseWhileNothingComes(t *testing.T) {
	path := vm.LoadLoopback(t)
	o := openOutput(t, path, tiny)
	if err := o.Write(testFrame(tiny, 1)); err != nil {
		t.Fatal(err)
	}
	s := start(t, path, modeOf(tiny))
	next(t, s)
	result := make(chan error)
	go func() {
		_, err := s.Read()
		result <- err
	}()
	time.Sleep(100 * time.Millisecond)
	begin := time.Now()
	s.Close()
	if err := <-result; !errors.Is(err, capture.ErrClosed) {
		t.Errorf("Read ended with %v", err)
	}
	if took := time.Since(begin); took > pollTimeout/2 {
		t.Errorf("Close took %v", took)
	}
}

func TestBadBuffersAreSkipped(t *testing.T) {
	path := loadVivid(t)
	s := start(t, path, small)
	next(t, s)
	for deadline := time.Now().Add(time.Minute); s.Lost().Damaged < 3; {
		setControl(t, path, "Inject V4L2_BUF_FLAG_ERROR", 1)
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
		if time.Now().After(deadline) {
			t.Fatalf("lost %+v", s.Lost())
		}
	}
}

func TestDroppedFramesAreCounted(t *testing.T) {
	path := loadVivid(t)
	setControl(t, path, "Percentage of Dropped Buffers", 50)
	s := start(t, path, small)
	first := next(t, s)
	read := uint32(0)
	for deadline := time.Now().Add(time.Minute); s.Lost().Driver < 5 && time.Now().Before(deadline); read++ {
		f := next(t, s)
		lost := s.Lost()
		if missing := f.Sequence - first.Sequence - read - 1; uint64(missing) != lost.Driver+lost.Superseded {
			t.Fatalf("frame %d is the %dth after the first, yet lost are %+v", f.Sequence, read+1, lost)
		}
	}
	if s.Lost().Driver < 5 {
		t.Errorf("lost %+v", s.Lost())
	}
}

func TestReaderThatIsLateGetsTheNewest(t *testing.T) {
	path := loadVivid(t)
	s := start(t, path, small)
	next(t, s)
	time.Sleep(time.Second)
	f := next(t, s)
	if s.Lost().Superseded == 0 {
		t.Errorf("lost %+v", s.Lost())
	}
	// The queue was full before the second was over: what it held last was taken
	// then, and what came after found no buffer.
	after := next(t, s)
	if age := time.Since(after.At[capture.Captured]); age > time.Second {
		t.Errorf("the frame after %d is %v old", f.Sequence, age)
	}
}

func TestUnplug(t *testing.T) {
	path := loadVivid(t)
	before := descriptors(t)
	s := start(t, path, small)
	setControl(t, path, "Disconnect", 1)
	err := readToTheEnd(s)
	if !errors.Is(err, capture.ErrGone) {
		t.Errorf("Read ended with %v", err)
	}
	t.Log(err)
	if _, err := Open(path, small, new(capture.Pool)); !errors.Is(err, capture.ErrGone) {
		t.Errorf("Open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	// vivid is plugged in again when no process holds the old node.
	next(t, start(t, path, small))
}

func readToTheEnd(s *Source) error {
	for {
		f, err := s.Read()
		if err != nil {
			return err
		}
		f.Release()
	}
}

func TestFatalStreamingErrorAsksToOpenAgain(t *testing.T) {
	path := loadVivid(t)
	s := start(t, path, small)
	next(t, s)
	setControl(t, path, "Inject Fatal Streaming Error", 1)
	err := readToTheEnd(s)
	if !errors.Is(err, capture.ErrGone) {
		t.Errorf("Read ended with %v", err)
	}
	t.Log(err)
	s.Close()
	next(t, start(t, path, small))
}

func TestFailedStartsAreClear(t *testing.T) {
	path := loadVivid(t)
	before := descriptors(t)
	for fault, op := range map[string]string{
		"Inject VIDIOC_REQBUFS Error":  "VIDIOC_REQBUFS " + path,
		"Inject VIDIOC_QBUF Error":     "VIDIOC_QBUF " + path,
		"Inject VIDIOC_STREAMON Error": "VIDIOC_STREAMON " + path,
	} {
		setControl(t, path, fault, 1)
		s, err := Open(path, small, new(capture.Pool))
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", fault)
			continue
		}
		if !strings.HasPrefix(err.Error(), op+": ") {
			t.Errorf("%s: %v", fault, err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	next(t, start(t, path, small))
}

func TestBusyCameraNamesWhoHasIt(t *testing.T) {
	path := loadVivid(t)
	pid := hold(t, "capture", path)
	_, err := Open(path, small, new(capture.Pool))
	if !errors.Is(err, capture.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", pid)) {
		t.Errorf("Open: %v", err)
	}
	t.Log(err)
}

func TestNothingLeaks(t *testing.T) {
	path := loadVivid(t)
	before := descriptors(t)
	for range 5 {
		s, err := Open(path, small, new(capture.Pool))
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
		s.Close()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(maps), path); n != 0 {
		t.Errorf("%d buffers are still mapped", n)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	path := loadVivid(t)
	s := start(t, path, small)
	read := func() {
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	read()
	if n := testing.AllocsPerRun(20, read); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}
