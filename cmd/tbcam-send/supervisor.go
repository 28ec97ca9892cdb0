package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/ratelimit"
)

const (
	// retryCamera is how long a camera that could not be opened is left alone; one that is
	// missing twice as long each time, up to retryMissing: where drivers can be watched,
	// a change ends the wait.
	retryCamera  = time.Second
	retryMissing = 4 * time.Second
	// linger is how long a camera stays open after a STOP or a lost session, so that
	// a viewer that comes back finds it open.
	linger = 3 * time.Second
	// checkEvery is how often a camera that is open is checked.
	checkEvery = 500 * time.Millisecond
	// never is a wait that something else ends.
	never = time.Duration(math.MaxInt64)
)

// request is what a viewer asks for.
type request struct {
	number uint32
	want   *capture.Want // nil: no frames
}

// supervisor has the camera open while it is wanted. One goroutine brings it to what
// the newest request asks for; those that this replaces were never begun.
type supervisor struct {
	feed    *feed
	offer   *offer
	cameras *openCameras // of all streams
	base    capture.Want // what the flags ask for but the camera; the viewer's wants go over it

	asked   chan struct{} // there is another request
	evicted chan struct{} // another stream waits for the camera
	end     context.CancelFunc
	ended   <-chan struct{} // closed by end
	done    chan struct{}   // closed when run has ended

	mu     sync.Mutex
	newest *request

	// Accessed only by run.
	requests  ratelimit.Limiter // what a peer's requests may cost
	decided   *request          // the last one that was carried out or refused
	want      capture.Want      // of the last one that was not refused
	hopeless  bool              // that needs another request
	open      *opening          // nil: the camera is off
	last      hostCamera
	lastError string    // the last one that was logged
	offAt     time.Time // when the camera is turned off, zero: it is wanted
	retryAt   time.Time
	missed    time.Duration // the last wait for a camera that is missing, 0: it is not
	unusable  bool          // reported that the camera delivers nothing usable
}

func newSupervisor(f *feed, offer *offer, cameras *openCameras, base capture.Want) *supervisor {
	return &supervisor{
		feed: f, offer: offer, cameras: cameras, base: base, newest: &request{}, end: func() {},
		asked: make(chan struct{}, 1), evicted: make(chan struct{}, 1),
		requests: ratelimit.Limiter{Burst: 10, Every: 500 * time.Millisecond},
	}
}

// startServing begins to serve requests, until the context ends or end is called.
func (s *supervisor) startServing(ctx context.Context) {
	ctx, s.end = context.WithCancel(ctx)
	s.ended, s.done = ctx.Done(), make(chan struct{})
	go s.serveRequests(ctx)
}

// closeCamera turns the camera off and ends the supervisor.
func (s *supervisor) closeCamera() {
	s.end()
	if s.done != nil {
		<-s.done
	}
}

// putRequest takes the place of the last request. It does not wait.
func (s *supervisor) putRequest(r *request) {
	s.mu.Lock()
	s.newest = r
	if r.want == nil {
		s.feed.report(transport.Status{State: transport.Idle})
	}
	s.mu.Unlock()
	notifyOne(s.asked)
}

// notifyOne leaves a token in a channel of one, if none is there.
func notifyOne(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// currentRequest returns the newest request.
func (s *supervisor) currentRequest() *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// reportStatus reports to the viewer what became of a request, unless there is a newer one:
// a viewer learns nothing of what another one asked for.
func (s *supervisor) reportStatus(r *request, status transport.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == r {
		status.Request = r.number
		s.feed.report(status)
	}
}

// reportError reports why there are no frames, or not those that were asked for.
func (s *supervisor) reportError(r *request, state transport.State, err error) {
	s.reportStatus(r, transport.Status{State: state, Text: textForViewer(err), Cause: transport.CauseOf(err)})
}

// serveRequests serves requests until the context ends.
func (s *supervisor) serveRequests(ctx context.Context) {
	defer close(s.done)
	defer s.turnOff()
	changes := s.watchCameras(ctx)
	s.announceFirst()
	for ctx.Err() == nil {
		s.awaitEvent(ctx, s.settleRequest(), changes)
	}
}

// announceFirst reports the controls of the camera that would be used, until one is.
func (s *supervisor) announceFirst() {
	if s.currentRequest().want != nil || s.feed.controls.hasCamera() {
		return
	}
	if camera, _, err := s.offer.chooseMode(s.base, hostCamera{}); err == nil {
		s.feed.controls.announceControls(camera)
	}
}

// watchCameras returns a channel that receives when cameras come and go.
func (s *supervisor) watchCameras(ctx context.Context) <-chan struct{} {
	changes, err := watchAll(ctx, s.offer.watchedDrivers())
	if err != nil {
		s.feed.log.Warn("watch for cameras; new ones are found by polling", "err", err)
	}
	return changes
}

// awaitEvent returns when there may be something to do.
func (s *supervisor) awaitEvent(ctx context.Context, wait time.Duration, changes <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.asked:
	case <-s.evicted:
	case <-timer.C:
	case <-changes:
		s.retryAt, s.missed = time.Time{}, 0
		s.offerCamera()
	case err := <-s.open.endChannel():
		s.handleLoss(err)
	}
}

// offerCamera reports the controls of a camera that was waited for and is off.
func (s *supervisor) offerCamera() {
	if s.currentRequest().want != nil || s.feed.controls.hasCamera() {
		return
	}
	if camera, mode, err := s.offer.chooseMode(s.base, hostCamera{}); err == nil {
		s.feed.controls.announceControls(camera)
		s.feed.log.Info("offering " + describeOffer(camera, mode))
	}
}

// settleRequest brings the camera to what the newest request asks for, and returns after
// what time there may be more to do.
func (s *supervisor) settleRequest() time.Duration {
	if s.cameras.isEvicted(s) {
		s.turnOff()
	}
	wait := s.advanceRequest(s.currentRequest())
	if s.offAt.IsZero() {
		return wait
	}
	left := time.Until(s.offAt)
	if left <= 0 {
		s.turnOff()
	}
	return min(wait, max(0, left))
}

// advanceRequest does what is next for a request.
func (s *supervisor) advanceRequest(r *request) time.Duration {
	switch {
	case r.want == nil:
		s.beginLinger()
		return never
	case r != s.decided:
		return s.decideRequest(r)
	case s.open != nil:
		s.checkHealth(r)
		return checkEvery
	case s.hopeless:
		return never
	}
	if wait := time.Until(s.retryAt); wait > 0 {
		return wait
	}
	camera, mode, err := s.offer.chooseMode(s.want, s.last)
	return s.tryOpen(r, camera, mode, err)
}

// beginLinger keeps the camera open for a while, though nobody wants frames.
func (s *supervisor) beginLinger() {
	if s.open != nil && s.offAt.IsZero() {
		s.open.paused.Store(true)
		s.feed.box.Discard()
		s.offAt = time.Now().Add(linger)
		s.cameras.linger(s)
	}
}

// decideRequest begins to carry out a request, unless there were too many of late, or
// refuses it.
func (s *supervisor) decideRequest(r *request) time.Duration {
	if wait := s.requests.Take(); wait > 0 {
		return wait
	}
	want := r.want.WithDefaults(s.base)
	camera, mode, err := s.findWanted(want)
	switch {
	case err != nil && s.open != nil && s.offAt.IsZero():
		s.decided = r
		s.logOnce(err)
		s.reportError(r, transport.Refused, err)
		return checkEvery
	case err == nil && s.open.isIn(camera, mode) && s.cameras.resume(s):
		s.decided, s.want = r, want
		s.resumeOpening(r)
		return checkEvery
	case err == nil && !s.open.isOf(camera):
		if wait := s.cameras.openings.Take(); wait > 0 {
			s.reportStatus(r, transport.Status{State: transport.Waiting, Text: "the camera was opened too often; retrying"})
			return wait
		}
	}
	s.decided, s.want, s.last = r, want, hostCamera{}
	s.turnOff()
	return s.tryOpen(r, camera, mode, err)
}

// findWanted finds the camera and mode of a new request: the camera that is open, if that
// was asked for in the same words. Another one must be free.
func (s *supervisor) findWanted(want capture.Want) (hostCamera, capture.Mode, error) {
	var last hostCamera
	if s.open != nil && s.want.Camera == want.Camera {
		last = s.last
	}
	c, mode, err := s.offer.chooseMode(want, last)
	if err == nil && s.open != nil && !s.open.isOf(c) {
		err = s.probe(c, mode)
	}
	return c, mode, err
}

// probe reports what keeps a camera from being opened now in place of the one that is
// open, if anything.
func (s *supervisor) probe(c hostCamera, mode capture.Mode) error {
	lingers, err := s.cameras.checkOthers(s, c)
	if lingers || err != nil {
		return err
	}
	return c.probeMode(mode)
}

// resumeOpening answers a request for what is open.
func (s *supervisor) resumeOpening(r *request) {
	if !s.offAt.IsZero() {
		s.feed.box.Discard() // what was read before it
	}
	s.feed.answerRequest(r.number)
	s.feed.health.noteFrame(nil)
	s.open.touchLastFrame()
	s.open.paused.Store(false)
	s.offAt, s.unusable, s.lastError = time.Time{}, false, ""
	s.reportStatus(r, transport.Status{State: transport.Running})
}

// tryOpen opens the camera, unless err is why there is none.
func (s *supervisor) tryOpen(r *request, camera hostCamera, mode capture.Mode, err error) time.Duration {
	if err == nil {
		s.missed = 0
		err = s.turnOn(r, camera, mode)
	}
	if err == nil {
		return checkEvery
	}
	return s.handleFailure(r, err)
}

// handleFailure reports why there are no frames.
func (s *supervisor) handleFailure(r *request, err error) time.Duration {
	s.logOnce(err)
	var refused *refusal
	var inUse *inUseError
	s.hopeless = errors.Is(err, capture.ErrNoMode) || errors.As(err, &refused) || errors.As(err, &inUse)
	if s.hopeless {
		s.reportError(r, transport.Failed, err)
		return never
	}
	s.reportError(r, transport.Waiting, err)
	wait := retryCamera
	if errors.Is(err, capture.ErrNoCamera) {
		wait = min(max(2*s.missed, retryCamera), retryMissing)
		s.missed = wait
	}
	s.retryAt = time.Now().Add(wait)
	return wait
}

// logOnce logs an error unless it is the same as the last one.
func (s *supervisor) logOnce(err error) {
	if text := cli.Explain(err); s.lastError != text {
		s.lastError = text
		s.feed.log.Warn(text)
	}
}

// turnOn opens the camera for a request.
func (s *supervisor) turnOn(r *request, camera hostCamera, mode capture.Mode) error {
	source, err := s.openSource(r, camera, mode)
	if err != nil {
		return err
	}
	if s.last.Bus != "" && s.last.Bus != camera.Bus {
		s.feed.log.Info("camera is on another port", "camera", camera.Name, "port", camera.Bus, "before", s.last.Bus)
	}
	s.feed.log.Info("camera is on", "camera", camera.Name, "mode", source.Mode())
	s.open = newOpening(camera, mode, source, s.feed.controls.attachCamera(camera), s.feed.putFrame)
	s.cameras.witness.cameraOn(s, camera, source.Mode())
	s.last, s.lastError = camera, ""
	s.reportStatus(r, transport.Status{State: transport.Running})
	return nil
}

// openSource opens the camera as that of this stream.
func (s *supervisor) openSource(r *request, camera hostCamera, mode capture.Mode) (capture.Source, error) {
	if err := s.cameras.claim(s, camera); err != nil {
		return nil, err
	}
	source, err := camera.openSource(mode, &s.feed.pool)
	if err == nil {
		if err = s.feed.attachSource(camera, source, r.number); err == nil {
			return source, nil
		}
		source.Close()
	}
	s.cameras.free(s)
	return nil, err
}

// turnOff closes the camera, if it is open.
func (s *supervisor) turnOff() {
	o := s.open
	if o == nil {
		return
	}
	s.open, s.offAt, s.unusable = nil, time.Time{}, false
	if err := o.closeCamera(); err != nil {
		s.feed.log.Warn("close camera", "err", err)
	}
	s.cameras.free(s)
	s.cameras.witness.cameraOff(s)
	s.feed.detachSource(o.source)
	s.feed.health.noteFrame(nil)
	s.feed.log.Info("camera is off", "camera", o.camera.Name)
}

// handleLoss reacts to the end of a camera.
func (s *supervisor) handleLoss(err error) {
	name := s.open.camera.Name
	s.turnOff()
	if errors.Is(err, capture.ErrGone) {
		s.feed.controls.forgetCamera()
	}
	err = fmt.Errorf("%s: %w", name, err)
	if r := s.currentRequest(); r == s.decided {
		s.handleFailure(r, err)
		return
	}
	s.logOnce(err)
}

// checkHealth reports that the camera delivers nothing usable, and that it does again.
func (s *supervisor) checkHealth(r *request) {
	if !s.offAt.IsZero() {
		return // nobody looks
	}
	err := s.open.silenceError()
	if err == nil {
		err = s.feed.health.findTrouble()
	}
	switch {
	case err != nil && !s.unusable:
		s.feed.log.Warn("camera delivers no usable frames", "err", err)
		s.reportStatus(r, transport.Status{State: transport.Running, Text: "no usable frames from the camera: " + err.Error()})
	case err == nil && s.unusable:
		s.feed.log.Info("camera delivers usable frames again")
		s.reportStatus(r, transport.Status{State: transport.Running})
	}
	s.unusable = err != nil
}
