package main

import (
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// camera makes frames as they are received and decoded.
type camera struct {
	pool    capture.Pool
	history snapshotHistory
	begin   time.Time
}

func newCamera(t *testing.T) *camera {
	c := &camera{begin: time.Now()}
	t.Cleanup(func() {
		c.history.releaseAll()
		if n := c.pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	})
	return c
}

// frame returns the frame with a number, as JPEG or raw.
func (c *camera) frame(n uint32, pixel capture.PixelFormat) *capture.Frame {
	f := c.pool.Get(1)
	f.Format.Pixel, f.Sequence, f.Time = pixel, n, c.begin.Add(time.Duration(n)*time.Second)
	f.At[capture.Captured] = f.Time
	return f
}

func (c *camera) seen(n uint32) { c.history.noteShown(n, c.begin.Add(time.Duration(n)*time.Second)) }

// want checks which frame a snapshot would be of, 0 for none.
func (c *camera) want(t *testing.T, raw, jpeg uint32) {
	t.Helper()
	got := c.history.currentPair()
	defer got.release()
	number := func(f *capture.Frame) uint32 {
		if f == nil {
			return 0
		}
		return f.Sequence
	}
	if number(got.raw) != raw || number(got.jpeg) != jpeg {
		t.Errorf("the snapshot is of %d with the JPEG of %d, want %d and %d", number(got.raw), number(got.jpeg), raw, jpeg)
	}
}

func TestSnapshotHistory(t *testing.T) {
	c := newCamera(t)
	c.want(t, 0, 0)
	if c.history.newestFrame() != nil {
		t.Error("there is a frame before the first one")
	}
	for n := range uint32(30) { // of which some are decoded, and fewer are shown
		c.history.addReceived(c.frame(n+1, capture.MJPEG))
		if n%3 == 2 {
			c.history.addPresented(c.frame(n, capture.YUV420))
		}
		if n == 8 {
			c.seen(5)
			c.want(t, 5, 5)
		}
	}
	c.want(t, 5, 5) // it is still shown, however old
	c.seen(2)       // it was superseded
	c.want(t, 5, 5)
	c.seen(26)
	c.want(t, 26, 26)
	if f := c.history.newestFrame(); f.Sequence != 29 {
		t.Errorf("the newest is %d", f.Sequence)
	} else {
		f.Release()
	}
}

// TestSnapshotHistoryOfRawFrames have no JPEG.
func TestSnapshotHistoryOfRawFrames(t *testing.T) {
	c := newCamera(t)
	for n := uint32(1); n < 30; n++ {
		f := c.frame(n, capture.YUYV)
		c.history.addReceived(f.Retain())
		c.history.addPresented(f)
		c.seen(n)
		c.want(t, n, 0)
	}
}

// TestSnapshotHistoryOfAnotherSession: a number alone is no frame.
func TestSnapshotHistoryOfAnotherSession(t *testing.T) {
	c := newCamera(t)
	c.history.addReceived(c.frame(1, capture.MJPEG))
	c.begin = c.begin.Add(time.Hour)
	c.history.addPresented(c.frame(1, capture.YUV420))
	c.seen(1)
	c.want(t, 1, 0)
}

// TestSnapshotHistoryIsBounded: of large frames fewer are kept.
func TestSnapshotHistoryIsBounded(t *testing.T) {
	var s snapshotHistory
	pool := &capture.Pool{}
	for i := range uint32(20) {
		for _, pixel := range []capture.PixelFormat{capture.MJPEG, capture.GREY} {
			f := pool.Get(30 << 20)
			f.Format.Pixel, f.Sequence = pixel, i
			if pixel == capture.MJPEG {
				s.addReceived(f)
			} else {
				s.addPresented(f)
			}
		}
	}
	if n := pool.Outstanding(); n > 4 {
		t.Errorf("%d frames of 30 MiB are kept", n)
	}
	s.releaseAll()
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
}
