package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// hung is how long a camera may deliver no frame: longer than any exposure.
const hung = 10 * time.Second

// errHung ends a camera that hangs, which gives no error itself.
var errHung = fmt.Errorf("camera delivered no frame for %v", hung)

// Bounds of a driver's time stamp, by the time of the dequeue. Some stamp the end of
// an exposure when it begins (vivid), none by more than this.
const (
	maxAhead = time.Second
	maxAge   = 10 * time.Second
)

// opening is one opening of a camera.
type opening struct {
	camera   hostCamera
	mode     capture.Mode // that was asked for
	source   capture.Source
	controls func()        // ends the controls
	ended    chan error    // what reading ended with; one
	done     chan struct{} // closed when read has ended

	begun   time.Time
	heard   atomic.Int64  // when the last frame came, in nanoseconds since begun
	damaged atomic.Uint64 // frames that the driver had marked by then
	paused  atomic.Bool   // nobody wants the frames
}

// newOpening begins to read a camera. Frames go to put.
func newOpening(c hostCamera, mode capture.Mode, source capture.Source, controls func(), put func(*capture.Frame)) *opening {
	o := &opening{
		camera: c, mode: mode, source: source, controls: controls,
		ended: make(chan error, 1), done: make(chan struct{}), begun: time.Now(),
	}
	go o.readFrames(put)
	return o
}

// touchLastFrame takes note that the camera lives.
func (o *opening) touchLastFrame() {
	o.heard.Store(int64(time.Since(o.begun)))
	o.damaged.Store(o.source.Lost().Damaged)
}

// isOf reports whether it is of that camera.
func (o *opening) isOf(c hostCamera) bool { return o != nil && o.camera.isSame(c) }

// isIn reports whether it is of that camera in that mode.
func (o *opening) isIn(c hostCamera, mode capture.Mode) bool {
	return o.isOf(c) && o.mode == mode
}

// endChannel is where the error of a camera that ends is received; nil has none.
func (o *opening) endChannel() <-chan error {
	if o == nil {
		return nil
	}
	return o.ended
}

// readFrames reads frames until the camera ends.
func (o *opening) readFrames(put func(*capture.Frame)) {
	defer close(o.done)
	watchdog := time.AfterFunc(hung, func() { o.source.Close() })
	defer watchdog.Stop()
	for {
		frame, err := o.source.Read()
		if errors.Is(err, capture.ErrClosed) {
			err = errHung // or nobody receives it any more
		}
		if err != nil {
			o.ended <- err
			return
		}
		watchdog.Reset(hung)
		o.touchLastFrame()
		if o.paused.Load() {
			frame.Release()
			continue
		}
		correctStamp(frame)
		put(frame)
	}
}

// correctStamp replaces a driver's time stamp that cannot be true by the time of the
// dequeue. Viewers schedule by it.
func correctStamp(f *capture.Frame) {
	dequeued := f.At[capture.Dequeued]
	if ahead := f.Time.Sub(dequeued); ahead > maxAhead || ahead < -maxAge {
		f.Time, f.At[capture.Captured] = dequeued, dequeued
	}
}

// silenceError returns an error if no frame came for longer than patience.
func (o *opening) silenceError() error {
	switch {
	case time.Since(o.begun)-time.Duration(o.heard.Load()) < patience:
		return nil
	case o.source.Lost().Damaged > o.damaged.Load():
		return errors.New("all frames are damaged")
	}
	return errors.New("no frames")
}

// closeCamera closes the camera and its controls, and waits for read to end.
func (o *opening) closeCamera() error {
	o.controls()
	err := o.source.Close()
	<-o.done
	return err
}
