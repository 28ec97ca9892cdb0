// Package monotonic turns stamps on the kernel's CLOCK_MONOTONIC into Go's time, and back.
package monotonic

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
		monotonic := Now()
		took := time.Since(before)
		if took < closest {
			closest = took
			best = anchor{before.Add(took / 2), monotonic}
		}
	}
	return best
}

// Now returns a reading of CLOCK_MONOTONIC.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("clock_gettime: " + err.Error()) // no Linux is without this clock
	}
	return time.Duration(ts.Nano())
}

// Time returns the time of a reading of CLOCK_MONOTONIC.
func Time(reading time.Duration) time.Time {
	return processAnchor.at.Add(reading - processAnchor.monotonic)
}

// Of returns what CLOCK_MONOTONIC read at a time.
func Of(t time.Time) time.Duration {
	return processAnchor.monotonic + t.Sub(processAnchor.at)
}
