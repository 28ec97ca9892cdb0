package hub

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// Subscription is one viewer of a hub, or one listener. It has the methods of a
// transport.ReceiverStream but for Keep: a hub keeps what ran before a refused change.
type Subscription struct {
	hub      *Hub
	consumer transport.Consumer
	closed   atomic.Bool

	// Under hub.mu.
	camera  *camera // whose controls it follows, and whose frames it has while it is started
	started bool
	raw     bool         // it has no use for JPEGs
	joining bool         // frames are raw that were encoded before it asked for JPEGs: none of them is its
	want    capture.Want // of its last request
	request uint32       // number of that
	base    capture.Lost // the camera's totals when it joined that
	before  capture.Lost // of those that it had before in this session
	changed capture.Want // the last change of the camera while it had its frames
	stats   transport.StreamStats
	linkNow uint64 // frames that the camera's link had lost when it joined
}

// Start requests frames, or other ones, or blocks of audio by the kind of the want. The
// first request joins a camera that runs, if it asks for no other mode; a later one changes
// it for all.
func (s *Subscription) Start(want capture.Want) (request uint32) {
	s.hub.mu.Lock()
	defer s.hub.flush()
	s.hub.request++
	s.place(s.hub.request, want)
	return s.hub.request
}

// start is Start and SetRaw with a number that the viewer has chosen. One that asks for
// nothing else of the camera changes none.
func (s *Subscription) start(request uint32, want capture.Want, raw bool) {
	s.hub.mu.Lock()
	defer s.hub.flush()
	again := s.started && s.raw != raw && s.want == want && s.camera.mode != nil
	s.setRaw(raw)
	if !again {
		s.place(request, want)
		return
	}
	s.request = request
	if s.camera.isSettled() {
		s.postMode()
	}
}

// SetRaw sets whether the viewer has no use for JPEGs, as that of a
// transport.ReceiverStream does: where one viewer of a camera wants JPEGs, all get them.
// Who joins a camera of raw frames and wants JPEGs gets no frame before the mode that
// answers its request.
func (s *Subscription) SetRaw(raw bool) {
	s.hub.mu.Lock()
	defer s.hub.flush()
	s.setRaw(raw)
}

func (s *Subscription) setRaw(raw bool) {
	if s.raw = raw; s.started {
		s.camera.updateRaw()
	}
}

// place finds the camera for a request and asks for what is missing there.
func (s *Subscription) place(request uint32, want capture.Want) {
	if s.closed.Load() {
		return
	}
	h := s.hub
	s.request, s.want = request, want
	if s.started && s.camera.kind != want.Kind {
		s.leave()
	}
	if !s.started && s.changed.Kind == want.Kind {
		want = s.changed.WithDefaults(want)
	}
	states, now := h.states(), slices.Index(h.cameras, s.camera)
	var p placement
	if s.started {
		p = placeChange(states, now, want)
	} else {
		p = placeNewcomer(states, want)
	}
	if p.err == errNotRunning && h.Attached != nil && h.Attached() { // it may run for the owner of the line
		p = placement{index: idleCamera(states, want.Kind, ""), want: &want}
	}
	if p.err == nil && p.index == len(h.cameras) {
		_, p.err = h.openCamera(want.Kind)
	}
	if p.err != nil {
		s.reject(p.err)
		return
	}
	changes := s.started && h.cameras[p.index] == s.camera
	s.moveTo(h.cameras[p.index])
	switch {
	case p.want == nil:
	case changes:
		s.camera.ask(*p.want, s)
	default:
		s.camera.ask(*p.want, nil)
	}
}

// reject answers a request that cannot be had.
func (s *Subscription) reject(err error) {
	status := transport.Status{State: transport.Failed, Text: err.Error(), Request: s.request, Cause: causeOf(err)}
	if s.started {
		status.State = transport.Refused
	}
	s.hub.post(s, func(c transport.Consumer) { c.Status(status) })
}

func causeOf(err error) transport.Cause {
	if errors.Is(err, ErrConflict) {
		return Conflict
	}
	return transport.CauseOf(err)
}

// moveTo makes a camera the subscription's, and reports how that is.
func (s *Subscription) moveTo(c *camera) {
	if s.camera == c && s.started {
		return
	}
	s.leave()
	same := s.camera == c
	s.camera, s.started, s.base, s.linkNow = c, true, c.lost, c.far.Stats().Lost
	c.updateRaw()
	s.joining = !s.raw && c.awaitsJPEGs()
	if !same {
		s.postControls()
	}
	if c.want == nil {
		return // it is about to be asked
	}
	s.postMode()
	if c.status != (transport.Status{}) {
		s.postStatus(c.status, true)
	}
}

// leave ends the frames of the subscription's camera, and of the camera where nobody
// else looks.
func (s *Subscription) leave() {
	if !s.started {
		return
	}
	s.before, s.stats.Lost = s.lost(), s.linkLost()
	s.started, s.joining = false, false
	if s.camera.changer == s {
		s.camera.changer = nil
	}
	others := false
	s.camera.viewers(func(*Subscription) { others = true })
	switch {
	case others:
		s.camera.updateRaw()
	case s.camera.want != nil:
		s.camera.stop()
	}
}

// Stop requests no more frames.
func (s *Subscription) Stop() {
	s.hub.mu.Lock()
	defer s.hub.flush()
	s.leave()
}

// SetControl sets a control of the camera, as that of a transport.ReceiverStream.
func (s *Subscription) SetControl(setting capture.Setting, done func(capture.Setting, error)) {
	s.hub.mu.Lock()
	far := s.camera.far
	s.hub.mu.Unlock()
	far.SetControl(setting, done)
}

// SettingListener is a consumer that wants to know what other processes set of the
// camera's controls. OtherSet must not wait.
type SettingListener interface {
	OtherSet(controls transport.Controls, granted capture.Setting)
}

// noteSetting tells who follows the camera that this subscription has set a control.
func (s *Subscription) noteSetting(granted capture.Setting) {
	s.hub.mu.Lock()
	defer s.hub.flush()
	controls := s.camera.controls
	for _, other := range s.hub.subscriptions {
		if l, ok := other.consumer.(SettingListener); ok && other.camera == s.camera {
			s.hub.post(other, func(transport.Consumer) { l.OtherSet(controls, granted) })
		}
	}
}

// Controls returns what the sender reported last of the camera's controls.
func (s *Subscription) Controls() transport.Controls {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.camera.controls
}

// Stats returns the totals of the frames that the subscription had.
func (s *Subscription) Stats() transport.StreamStats {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	stats := s.stats
	stats.Lost = s.linkLost()
	return stats
}

// linkLost returns how many frames of the subscription its links have lost.
func (s *Subscription) linkLost() uint64 {
	if !s.started {
		return s.stats.Lost
	}
	return s.stats.Lost + s.camera.far.Stats().Lost - s.linkNow
}

// lost returns the totals of what its senders have lost in this session.
func (s *Subscription) lost() capture.Lost {
	if !s.started {
		return s.before
	}
	lost := s.camera.lost.Since(s.base)
	lost.Add(s.before)
	return lost
}

// Close ends the subscription. Its consumer is not called any more, but for a call that
// has begun.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.flush()
	if s.closed.Swap(true) {
		return
	}
	s.leave()
	s.hub.subscriptions = slices.DeleteFunc(s.hub.subscriptions, func(other *Subscription) bool { return other == s })
}

// postMode reports the camera's mode, if its frames are the subscription's, as the answer
// to the subscription's request where it is one to the camera's.
func (s *Subscription) postMode() {
	if s.camera.mode == nil || s.joining {
		return
	}
	mode := *s.camera.mode
	if mode.Request != 0 && mode.Request == s.camera.request {
		mode.Request = s.request
	} else {
		mode.Request = 0
	}
	s.hub.post(s, func(c transport.Consumer) { c.Mode(mode) })
}

// postStatus reports the camera's status, as the answer to the subscription's request
// where it is one.
func (s *Subscription) postStatus(status transport.Status, answer bool) {
	status.Request = 0
	if answer {
		status.Request = s.request
	}
	s.hub.post(s, func(c transport.Consumer) { c.Status(status) })
}

func (s *Subscription) postControls() {
	controls := s.camera.controls
	s.hub.post(s, func(c transport.Consumer) { c.ControlsChanged(controls) })
}
