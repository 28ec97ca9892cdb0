package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/ratelimit"
)

// freeWait is how long a camera that another stream lingers on may take to close.
const freeWait = 5 * time.Second

// openCameras is which stream has which camera open: a camera is open once, however
// many streams ask for it.
type openCameras struct {
	witness  *witness          // of what is on; nil in tests
	openings ratelimit.Limiter // what requests may cost, over all streams; a change of mode is none

	mu    sync.Mutex
	users []*cameraUser
}

// cameraUser is the stream that has a camera open.
type cameraUser struct {
	camera  hostCamera
	stream  *supervisor
	lingers bool          // it has no use for the camera now
	awaited bool          // another stream waits for it to close the camera, or to use it again
	evicted bool          // it must close the camera for that one
	settled chan struct{} // closed when it has done either
}

// isIdle reports whether the stream would not miss the camera. Whether it has noticed a
// STOP yet does not matter.
func (u *cameraUser) isIdle() bool { return u.lingers || u.stream.currentRequest().want == nil }

// evictIdle evicts the stream if it is awaited, and reports whether it is evicted. One that has
// a request which it has not looked at may use the camera for that, and is not.
func (u *cameraUser) evictIdle() bool {
	u.evicted = u.evicted || u.awaited && u.stream.currentRequest().want == nil
	return u.evicted
}

func newOpenCameras() *openCameras {
	return &openCameras{openings: ratelimit.Limiter{Burst: 10, Every: 6 * time.Second}}
}

// inUseError is returned for a camera that another stream uses. Waiting does not help:
// that stream may go on indefinitely.
type inUseError struct{ camera string }

func (e *inUseError) Error() string     { return e.camera + ": another stream of this viewer has it" }
func (e *inUseError) Unwrap() error     { return capture.ErrBusy }
func (e *inUseError) forViewer() string { return e.Error() }

// errStillClosing is returned for a camera whose last stream takes long to close it.
var errStillClosing = fmt.Errorf("%w: another stream is closing it", capture.ErrBusy)

var errEnded = errors.New("stream has ended")

// claim makes a camera that of a stream. It waits for one that lingers on it, or is about to
// use it again, until the stream ends.
func (o *openCameras) claim(s *supervisor, camera hostCamera) error {
	timeout := time.NewTimer(freeWait)
	defer timeout.Stop()
	for {
		settled, err := o.tryClaim(s, camera)
		if settled == nil {
			return err
		}
		select {
		case <-settled:
		case <-timeout.C:
			return errStillClosing
		case <-s.ended:
			return errEnded
		}
	}
}

// tryClaim returns what is closed when the camera may be free, nil if there is nothing to
// wait for.
func (o *openCameras) tryClaim(s *supervisor, camera hostCamera) (settled <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.userOf(camera)
	switch {
	case u == nil:
		o.users = append(o.users, &cameraUser{camera: camera, stream: s, settled: make(chan struct{})})
		return nil, nil
	case u.stream == s:
		return nil, nil
	case !u.isIdle():
		return nil, &inUseError{camera.Name}
	}
	u.awaited = true
	if u.evictIdle() {
		notifyOne(u.stream.evicted)
	}
	return u.settled, nil
}

// checkOthers returns an error if another stream uses a camera, and whether one lingers on
// it: then it is free as soon as somebody claims it.
func (o *openCameras) checkOthers(s *supervisor, camera hostCamera) (lingers bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.userOf(camera)
	if u == nil || u.stream == s {
		return false, nil
	}
	if !u.isIdle() {
		return false, &inUseError{camera.Name}
	}
	return true, nil
}

// linger notes that a stream has no use for its camera now.
func (o *openCameras) linger(s *supervisor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u := o.cameraOf(s); u != nil {
		u.lingers = true
	}
}

// resume notes that a stream uses its camera again. It reports false if another one
// waits for it.
func (o *openCameras) resume(s *supervisor) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.cameraOf(s)
	if u == nil || u.evicted {
		return false
	}
	u.lingers, u.awaited = false, false
	close(u.settled)
	u.settled = make(chan struct{})
	return true
}

// opened returns the camera of a stream, unless another one waits for it.
func (o *openCameras) opened(s *supervisor) (device capture.Device, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.cameraOf(s)
	if u == nil || u.evicted {
		return device, false
	}
	return u.camera.Device, true
}

// isEvicted reports whether a stream must close its camera, since another one waits for it.
func (o *openCameras) isEvicted(s *supervisor) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.cameraOf(s)
	return u != nil && u.evictIdle()
}

// free gives the camera of a stream up.
func (o *openCameras) free(s *supervisor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, u := range o.users {
		if u.stream == s {
			close(u.settled)
			o.users = append(o.users[:i], o.users[i+1:]...)
			return
		}
	}
}

// userOf returns who has a camera, or nil. o.mu is held.
func (o *openCameras) userOf(camera hostCamera) *cameraUser {
	for _, u := range o.users {
		if u.camera.isSame(camera) {
			return u
		}
	}
	return nil
}

// cameraOf returns what a stream has, or nil. o.mu is held.
func (o *openCameras) cameraOf(s *supervisor) *cameraUser {
	for _, u := range o.users {
		if u.stream == s {
			return u
		}
	}
	return nil
}
