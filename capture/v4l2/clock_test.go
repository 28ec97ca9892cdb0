package v4l2

import (
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/internal/monotonic"
)

func monotonicBuffer(at time.Duration) *buffer {
	b := &buffer{flags: bufFlagTimestampMonotonic}
	b.timestamp.sec = int64(at / time.Second)
	b.timestamp.usec = int64(at % time.Second / time.Microsecond)
	return b
}

func TestStampIsTheDriversTime(t *testing.T) {
	before := time.Now()
	got := captureTime(monotonicBuffer(monotonic.Now()), time.Now().Add(time.Second))
	// The driver's clock counts whole microseconds; the rest is the anchor's error.
	if early := before.Sub(got); early > time.Millisecond {
		t.Errorf("stamp is %v before the time it was taken at", early)
	}
	if late := time.Until(got); late > time.Millisecond {
		t.Errorf("stamp is %v in the future", late)
	}
}

func TestStampsDifferAsTheDriversDo(t *testing.T) {
	later := time.Now().Add(time.Hour)
	start := monotonic.Now().Truncate(time.Microsecond)
	for _, d := range []time.Duration{time.Microsecond, 33333 * time.Microsecond, time.Hour / 2} {
		first, second := captureTime(monotonicBuffer(start), later), captureTime(monotonicBuffer(start+d), later)
		if got := second.Sub(first); got != d {
			t.Errorf("stamps %v apart became %v", d, got)
		}
	}
}

func TestStampFallsBackToTheDequeue(t *testing.T) {
	dequeued := time.Now()
	unknown := monotonicBuffer(monotonic.Now())
	unknown.flags = 0
	copied := monotonicBuffer(monotonic.Now())
	copied.flags = 0x4000 // V4L2_BUF_FLAG_TIMESTAMP_COPY
	for name, b := range map[string]*buffer{
		"unknown clock": unknown,
		"copied stamp":  copied,
	} {
		if got := captureTime(b, dequeued); got != dequeued {
			t.Errorf("%s: stamp %v, want that of the dequeue, %v", name, got, dequeued)
		}
	}
}
