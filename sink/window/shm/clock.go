package shm

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic reads the clock that all processes of a host share and that
// time.Time uses inside, in nanoseconds (CLOCK_MONOTONIC).
func Monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the clock always exists
	}
	return ts.Nano()
}

// Time returns the time at which Monotonic was at.
func Time(at int64) time.Time {
	a := anchor()
	return a.time.Add(time.Duration(at - a.monotonic))
}

// instant is one moment on both clocks.
type instant struct {
	time      time.Time
	monotonic int64
}

// anchor reads both clocks, in the best of several attempts: the scheduler may
// come in between.
var anchor = sync.OnceValue(func() (best instant) {
	least := int64(math.MaxInt64)
	for range 10 {
		before, now, after := Monotonic(), time.Now(), Monotonic()
		if gap := after - before; gap < least {
			least, best = gap, instant{now, before + gap/2}
		}
	}
	return best
})
