package codec

import (
	"errors"
	"sync/atomic"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// ErrNoRoom is returned where a pool has no room for a frame now. It costs only
// this frame.
var ErrNoRoom = errors.New("the pool has no room")

// counters are jfif.Counts in the making, for one writer and any readers.
type counters struct{ n [jfif.NumCauses]atomic.Uint64 }

// Counts returns the numbers so far.
func (c *counters) Counts() (now jfif.Counts) {
	for i := range c.n {
		now[i] = c.n[i].Load()
	}
	return now
}

func (c *counters) countIf(cause jfif.Cause, happened bool) {
	if happened {
		c.n[cause].Add(1)
	}
}

// countError counts the cause that err wraps, if it wraps one.
func (c *counters) countError(err error) {
	var cause jfif.Cause
	if errors.As(err, &cause) {
		c.countIf(cause, true)
	}
}

// checkRaw reports what keeps f from being a raw frame, if anything.
func checkRaw(f *capture.Frame) error {
	switch err := f.Format.Check(); {
	case err != nil:
		return err
	case f.Format.Pixel.Compressed():
		return errors.New("the frame is compressed, not raw")
	case len(f.Data) != f.Format.Size():
		return jfif.WrongSize
	}
	return nil
}
