package shm

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

func format(p capture.PixelFormat, width, height int) capture.Format {
	return capture.Format{Pixel: p, Width: width, Height: height}
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		format  capture.Format
		strides [3]int
		lines   [3]int
	}{
		{format(capture.YUV420, 640, 480), [3]int{640, 320, 320}, [3]int{480, 240, 240}},
		{format(capture.YUV420, 645, 481), [3]int{648, 324, 324}, [3]int{481, 241, 241}},
		{format(capture.YUV422P, 6, 5), [3]int{8, 4, 4}, [3]int{5, 5, 5}},
		{format(capture.YUV444, 1, 1), [3]int{4, 4, 4}, [3]int{1, 1, 1}},
		{format(capture.GREY, 7, 3), [3]int{8}, [3]int{3}},
	} {
		l, err := NewLayout(c.format)
		if err != nil {
			t.Errorf("%v: %v", c.format, err)
			continue
		}
		planes := l.slotPlanes(make([]byte, l.totalSize()), Slots-1)
		for i := range planes {
			if l.Strides() != c.strides || len(planes[i]) != c.strides[i]*c.lines[i] {
				t.Errorf("%v: plane %d has %d bytes, strides are %v", c.format, i, len(planes[i]), l.Strides())
			}
		}
	}
}

func TestLayoutRefuses(t *testing.T) {
	for _, f := range []capture.Format{
		format(capture.YUYV, 640, 480), format(capture.NV12, 640, 480), format(capture.YVU420, 640, 480),
		format(capture.MJPEG, 640, 480), format(capture.GREY, 0, 480), format(capture.GREY, 640, capture.MaxDimension+1),
	} {
		if _, err := NewLayout(f); err == nil {
			t.Errorf("%v has a layout", f)
		}
	}
}

// pair returns both ends of the memory, unmapped when the test ends.
func pair(t *testing.T, f capture.Format) (*Writer, *Reader) {
	t.Helper()
	w, file, err := NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(f, file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	return w, r
}

func fill(planes [3][]byte, with byte) {
	for _, p := range planes {
		for i := range p {
			p[i] = with
		}
	}
}

func TestNewestWins(t *testing.T) {
	w, r := pair(t, format(capture.YUV420, 64, 48))
	if _, _, ok := r.Take(); ok {
		t.Fatal("took a frame before there was one")
	}
	for id := uint64(1); id <= 5; id++ {
		fill(w.Next(), byte(id))
		superseded, err := w.Publish(id)
		if err != nil || superseded != (id > 1) {
			t.Errorf("frame %d: superseded %v, %v", id, superseded, err)
		}
	}
	planes, id, ok := r.Take()
	if !ok || id != 5 || planes[2][0] != 5 {
		t.Fatalf("took frame %d of %d, %v", id, planes[2][0], ok)
	}
	if _, _, ok := r.Take(); ok {
		t.Error("took a frame twice")
	}
	fill(w.Next(), 6)
	if superseded, err := w.Publish(6); superseded || err != nil {
		t.Errorf("superseded %v, %v", superseded, err)
	}
	fill(w.Next(), 7)
	if planes[0][0] != 5 {
		t.Error("a frame was written to while it was read")
	}
}

// TestBothSides writes and reads as fast as it goes: every frame read is whole
// and newer than the last, and the last one written is read in the end.
func TestBothSides(t *testing.T) {
	const frames = 20000
	w, r := pair(t, format(capture.YUV444, 40, 30))
	var wg sync.WaitGroup
	wg.Go(func() {
		for id := uint64(1); id <= frames; id++ {
			fill(w.Next(), byte(id))
			if _, err := w.Publish(id); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for last := uint64(0); last < frames && !t.Failed(); {
		planes, id, ok := r.Take()
		if !ok {
			runtime.Gosched()
			continue
		}
		for _, p := range planes {
			if n := bytes.Count(p, []byte{byte(id)}); n != len(p) || id <= last {
				t.Errorf("frame %d after %d: %d bytes of %d", id, last, n, len(p))
			}
		}
		last = id
	}
	wg.Wait()
}

func TestLies(t *testing.T) {
	for _, lie := range []uint32{3, 3 | fresh, 1 << 30, ^uint32(0), 0} { // slot 0 is the writer's
		w, r := pair(t, format(capture.GREY, 8, 8))
		controlOf(r.memory).newest.Store(lie)
		if _, err := w.Publish(1); !errors.Is(err, ErrSlot) {
			t.Errorf("%#x: %v", lie, err)
		}
		fill(w.Next(), 1) // does not crash
	}
}

func TestSeals(t *testing.T) {
	w, file, err := NewWriter(format(capture.GREY, 640, 480))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer file.Close()
	size := int64(len(w.memory))
	for _, to := range []int64{0, size - 1, size + 1} {
		if err := file.Truncate(to); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncate to %d: %v", to, err)
		}
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("another seal: %v", err)
	}
	hole := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if hole != nil {
		t.Error(hole)
	}
	fill(w.Next(), 1) // raises no SIGBUS
}

func TestReaderChecksSize(t *testing.T) {
	w, file, err := NewWriter(format(capture.GREY, 64, 48))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := NewReader(format(capture.YUV444, 640, 480), file); err == nil {
		t.Error("a frame larger than the memory")
	}
}
