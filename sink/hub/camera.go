package hub

import (
	"slices"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// camera is a far stream with those who look at it, or listen to it where it is of a
// microphone. It implements transport.Consumer: the receiver's goroutine calls it.
type camera struct {
	hub  *Hub
	kind capture.Kind // of all that it ever has
	far  *transport.ReceiverStream

	// Under hub.mu.
	want     *capture.Want // what is asked, nil: nothing
	before   *capture.Want // what was asked before a change that is not answered
	request  uint32        // number of the last request, of the far stream
	pinned   bool          // want names the camera though nobody chose it
	raw      bool          // nobody who looks has a use for JPEGs
	changer  *Subscription // whose change of a running camera that was, nil: it was none
	mode     *transport.Mode
	status   transport.Status
	controls transport.Controls
	lost     capture.Lost // the sender's totals of the session
}

func (c *camera) state() cameraState {
	s := cameraState{kind: c.kind, want: c.want, mode: c.mode, failed: c.status.State == transport.Failed}
	if c.mode != nil {
		s.name = c.mode.Camera
	}
	// Until the mode is known, the controls may be those of the camera that the sender had
	// in this stream before, also in a session of another viewer.
	if c.want == nil || c.mode != nil && (s.name == "" || s.name == c.controls.Camera) {
		s.name, s.path = c.controls.Camera, c.controls.Path
	}
	return s
}

// viewers calls do with each subscription that has the camera's frames.
func (c *camera) viewers(do func(*Subscription)) {
	for _, s := range c.hub.subscriptions {
		if s.camera == c && s.started {
			do(s)
		}
	}
}

// ask asks for frames, or other ones.
func (c *camera) ask(want capture.Want, changer *Subscription) {
	c.before, c.changer = c.want, changer
	c.want = &want
	c.request = c.far.Start(want)
}

// updateRaw has the sender send JPEGs if anybody who looks wants them.
func (c *camera) updateRaw() {
	raw := true
	c.viewers(func(s *Subscription) { raw = raw && s.raw })
	if raw != c.raw {
		c.raw = raw
		c.request = c.far.SetRaw(raw)
	}
}

// awaitsJPEGs reports whether the frames that come are raw by the sender's choice, and were
// encoded before it read all that was asked so far.
func (c *camera) awaitsJPEGs() bool {
	return c.mode != nil && c.mode.Reason != "" && !c.mode.Format.Pixel.Compressed() && !c.isSettled()
}

// isSettled reports whether the mode answers all that was asked so far.
func (c *camera) isSettled() bool { return c.mode != nil && c.mode.Request == c.request }

// stop asks for no more frames.
func (c *camera) stop() {
	c.want, c.before, c.changer, c.mode, c.status, c.pinned = nil, nil, nil, nil, transport.Status{}, false
	c.far.Stop()
}

// pin has a camera that nobody chose asked for by its path in the next session, or
// asked for as before. Of several cameras that run, another hub would choose any.
func (c *camera) pin(yes bool) {
	if c.want == nil || nameOf(c.want.Camera) != "" && !c.pinned {
		return
	}
	want, path := *c.want, c.state().path
	want.Camera = ""
	if c.pinned = yes && path != ""; c.pinned {
		want.Camera = path
	}
	if want != *c.want {
		c.want = &want
		c.far.Keep(want)
	}
}

// forget forgets what was known in a session that has ended.
func (c *camera) forget() {
	c.mode, c.status, c.controls, c.lost = nil, transport.Status{}, transport.Controls{}, capture.Lost{}
}

// Connected implements transport.Consumer.
func (c *camera) Connected(peer transport.Peer) {
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	if c.hub.Window != nil && c.kind == capture.Video {
		c.far.SetWindow(c.hub.Window())
	}
	c.hub.begin(peer)
}

// Disconnected implements transport.Consumer.
func (c *camera) Disconnected(err error) {
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	c.hub.end(err)
}

// Mode implements transport.Consumer.
func (c *camera) Mode(mode transport.Mode) {
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	if c.want == nil {
		return // it crossed a stop
	}
	c.mode = &mode
	if c.isSettled() {
		c.settleChange()
	}
	c.viewers(func(s *Subscription) {
		s.joining = s.joining && c.awaitsJPEGs()
		s.postMode()
	})
}

// Frame implements transport.Consumer.
func (c *camera) Frame(f *capture.Frame, lost capture.Lost) {
	defer f.Release()
	if f.At[capture.Sent].IsZero() { // plain MJPEG; nobody writes to it once it is shared
		f.At[capture.Sent] = time.Now()
	}
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	c.lost = lost
	c.viewers(func(s *Subscription) {
		if s.joining {
			return
		}
		s.stats.Frames++
		s.stats.Bytes += uint64(len(f.Data))
		c.hub.events = append(c.hub.events, event{to: s, frame: f.Retain(), lost: s.lost()})
	})
}

// Lost implements transport.Consumer.
func (c *camera) Lost(lost capture.Lost) {
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	c.lost = lost
	c.viewers(func(s *Subscription) {
		lost := s.lost()
		c.hub.post(s, func(c transport.Consumer) { c.Lost(lost) })
	})
}

// Status implements transport.Consumer.
func (c *camera) Status(status transport.Status) {
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	if c.want == nil {
		return // it crossed a stop
	}
	answer := status.Request == c.request
	switch {
	case status.State == transport.Refused:
		if answer {
			c.refuse(status)
		}
		return
	case answer && status.State == transport.Failed && status.Cause == transport.Busy && c.joinOthers():
		return
	case status.State != transport.Running:
		c.mode = nil
	}
	c.status = status
	c.viewers(func(s *Subscription) { s.postStatus(status, answer) })
	if answer && c.changer != nil && status.State != transport.Running {
		c.undo()
	}
}

// settleChange notes that a change was granted: it holds for all who looked, also when
// they ask for the camera again.
func (c *camera) settleChange() {
	if c.changer != nil {
		changed := *c.want
		c.viewers(func(s *Subscription) { s.changed = changed })
	}
	c.before, c.changer = nil, nil
}

// undo goes back to what ran before a change that ended the frames of all.
func (c *camera) undo() {
	before := *c.before
	c.ask(before, nil)
}

// refuse undoes a change that the sender has refused. Whoever asked learns of it; the
// others go on.
func (c *camera) refuse(status transport.Status) {
	if s := c.changer; s != nil {
		s.postStatus(status, true)
	}
	if c.before != nil {
		c.want = c.before
		c.far.Keep(*c.want)
	}
	if c.mode != nil { // what runs answers all that was asked so far
		c.mode.Request = c.request
	}
	c.before, c.changer = nil, nil
	if c.hasJoining() { // no mode answers the request that they made together with the change
		c.request = c.far.Start(*c.want)
	}
}

// hasJoining reports whether somebody waits for frames other than those that come.
func (c *camera) hasJoining() (joining bool) {
	c.viewers(func(s *Subscription) { joining = joining || s.joining })
	return joining
}

// joinOthers moves those who asked for a camera by a part of its name to the stream that
// has it already. The sender is the one that knows which camera a name means.
func (c *camera) joinOthers() bool {
	name := nameOf(c.want.Camera)
	i := slices.IndexFunc(c.hub.cameras, func(other *camera) bool {
		return other != c && other.kind == c.kind && other.want != nil && other.state().contains(name)
	})
	if i < 0 {
		return false
	}
	other, want := c.hub.cameras[i], *c.want
	merged, err := other.state().merge(want)
	c.stop()
	c.viewers(func(s *Subscription) {
		if err != nil {
			s.leave()
			s.reject(err)
			return
		}
		s.moveTo(other)
	})
	if merged != nil {
		other.ask(*merged, nil)
	}
	return true
}

// ControlsChanged implements transport.Consumer. A sender may report the controls of a camera
// in a stream before it knows that a microphone is asked for there.
func (c *camera) ControlsChanged(controls transport.Controls) {
	if c.kind != capture.Video {
		return
	}
	c.hub.mu.Lock()
	defer c.hub.flushNow()
	c.controls = controls
	for _, s := range c.hub.subscriptions {
		if s.camera == c {
			s.postControls()
		}
	}
}
