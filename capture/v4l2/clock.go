package v4l2

import (
	"time"

	"github.com/tbcam/tbcam/capture/internal/monotonic"
)

// captureTime returns when the frame in b was taken, which is when it was dequeued
// where the driver does not report it.
func captureTime(b *buffer, dequeued time.Time) time.Time {
	if b.flags&bufFlagTimestampMask != bufFlagTimestampMonotonic {
		return dequeued
	}
	return monotonic.Time(time.Duration(b.timestamp.sec)*time.Second +
		time.Duration(b.timestamp.usec)*time.Microsecond)
}
