package v4l2

import (
	"time"

	"golang.org/x/sys/unix"
)

// anchor ties the kernel's CLOCK_MONOTONIC to Go's time. There is one for the
// life of the process, so that the difference of two stamps is the driver's.
type anchor struct {
	at        time.Time
	monotonic time.Duration
}

var processAnchor = newAnchor()

// newAnchor reads both clocks together: the closest of a few readings counts.
func newAnchor() (best anchor) {
	closest := time.Hour
	for range 8 {
		before := time.Now()
		monotonic := monotonicNow()
		took := time.Since(before)
		if took < closest {
			closest = took
			best = anchor{before.Add(took / 2), monotonic}
		}
	}
	return best
}

func monotonicNow() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("v4l2: clock_gettime: " + err.Error()) // no Linux is without this clock
	}
	return time.Duration(ts.Nano())
}

// timeOf returns the time of a reading of CLOCK_MONOTONIC.
func (a anchor) timeOf(monotonic time.Duration) time.Time {
	return a.at.Add(monotonic - a.monotonic)
}

// captureTime returns when the frame in b was taken, which is when it was dequeued
// where the driver does not report it.
func captureTime(b *buffer, dequeued time.Time) time.Time {
	if b.flags&bufFlagTimestampMask != bufFlagTimestampMonotonic {
		return dequeued
	}
	return processAnchor.timeOf(time.Duration(b.timestamp.sec)*time.Second +
		time.Duration(b.timestamp.usec)*time.Microsecond)
}
