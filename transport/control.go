package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/ratelimit"
	"github.com/tbcam/tbcam/transport/wire"
)

// FeatureControls is the feature of peers that know Set and Controls.
const FeatureControls = "controls"

// FeatureUnsealedFrames is the feature of peers that ask for frames without seals.
const FeatureUnsealedFrames = "unsealed-frames"

// Bounds of Set and Controls.
const (
	maxSettings   = 32       // in one Set, and so answers in one Controls
	maxSetPayload = 64 << 10 // bytes
	maxPending    = 1024     // settings that a Receiver keeps until they are answered
)

// Errors of ReceiverStream.SetControl, beside those that the sender states.
var (
	// ErrNoRemoteControl: the sender has none.
	ErrNoRemoteControl = errors.New("the sender has no remote control")
	// ErrSuperseded: the control was set again before the sender came to it.
	ErrSuperseded = errors.New("superseded by a newer value")
	// ErrTooManySettings: the sender answers none of them.
	ErrTooManySettings = errors.New("too many settings are pending")
	// ErrStreamClosed: the stream was closed before the sender came to it.
	ErrStreamClosed = errors.New("the stream was closed")
)

// Controls is what a sender reports of the controls of its camera: the one that is
// on, was last, or would be.
type Controls struct {
	Camera string `json:"camera,omitempty"` // its name; none: there is no camera
	Path   string `json:"path,omitempty"`   // of its device, as Receiver.Cameras has it
	// Opening counts the openings of cameras: what a camera forgets when it loses
	// power may have to be set again.
	Opening uint32            `json:"opening,omitempty"`
	Locked  bool              `json:"locked,omitempty"` // they are read-only for viewers
	List    []capture.Control `json:"controls,omitempty"`
}

// The payload of a Set record: all settings that are not answered yet, in order.
type setMessage struct {
	Have     uint32          `json:"have"` // number of the last Controls that was read
	Settings []numberSetting `json:"set,omitempty"`
}

type numberSetting struct {
	Number uint32 `json:"number"` // from 1, ascending
	capture.Setting
}

// The payload of a Controls record.
type controlsMessage struct {
	Number uint32 `json:"number"` // from 1, ascending with every change
	Controls
	Answers []answer `json:"answers,omitempty"` // to the settings of the last Set
}

// answer is what became of a setting.
type answer struct {
	Number  uint32           `json:"number"`
	Granted *capture.Setting `json:"granted,omitempty"`
	Error   string           `json:"error,omitempty"`
}

func parseSet(h wire.Header, payload []byte) (setMessage, error) {
	m, err := decodeMessage[setMessage](h, payload, maxSetPayload)
	if err != nil {
		return setMessage{}, err
	}
	if len(m.Settings) > maxSettings {
		return setMessage{}, fmt.Errorf("read set: %d settings are more than %d", len(m.Settings), maxSettings)
	}
	last := uint32(0)
	for _, s := range m.Settings {
		if s.Number <= last {
			return setMessage{}, fmt.Errorf("read set: number %d comes after %d", s.Number, last)
		}
		last = s.Number
	}
	return m, nil
}

func parseControls(h wire.Header, payload []byte) (controlsMessage, error) {
	m, err := decodeMessage[controlsMessage](h, payload, wire.MaxPayload)
	if err != nil {
		return controlsMessage{}, err
	}
	m.Camera, m.Path = cutPrintable(m.Camera, maxText), cutPrintable(m.Path, maxText)
	if n := tidyControls(m.List); n > maxControls || len(m.Answers) > maxSettings {
		return controlsMessage{}, fmt.Errorf("read controls: %d controls and %d answers are too many", n, len(m.Answers))
	}
	for i := range m.Answers {
		a := &m.Answers[i]
		a.Error = cutPrintable(a.Error, maxReason)
		if a.Granted != nil {
			a.Granted.Text = cutPrintable(a.Granted.Text, maxText)
		}
	}
	return m, nil
}

// tidyControls makes the texts of a peer's controls printable, and returns how
// many controls and choices there are together.
func tidyControls(controls []capture.Control) int {
	n := len(controls)
	for i := range controls {
		c := &controls[i]
		c.Name, c.Type, c.Text = cutPrintable(c.Name, maxText), cutPrintable(c.Type, maxText), cutPrintable(c.Text, maxText)
		n += len(c.Menu)
		for j := range c.Menu {
			c.Menu[j].Name = cutPrintable(c.Menu[j].Name, maxText)
		}
	}
	return n
}

// boundToRecord returns as many of the controls as a peer accepts.
func (c Controls) boundToRecord() Controls {
	c.Camera, c.Path = cutPrintable(c.Camera, maxText), cutPrintable(c.Path, maxText)
	n := 0
	for i := range c.List {
		if n += 1 + len(c.List[i].Menu); n > maxControls {
			c.List = c.List[:i]
			break
		}
	}
	// What the answers may take beside it, however much of them is escaped.
	for len(c.List) > 0 && len(encodeMessage(c)) > wire.MaxPayload/2 {
		c.List = c.List[:len(c.List)-1]
	}
	return c
}

// remote is the sender's part of remote control of one stream in one session.
type remote struct {
	number atomic.Uint32 // of the newest Controls
	newSet chan struct{} // there is a new Set

	mu      sync.Mutex
	newest  []numberSetting // of the last Set
	answers []answer        // to these
}

// notifyChanged has the newest Controls written.
func (r *remote) notifyChanged(o *outgoing) {
	r.number.Add(1)
	o.queueRecord(wire.Controls)
}

// handleSet takes note of a Set. It is answered by the goroutine of applySettings: what comes
// meanwhile takes the place of what came before.
func (ss *senderSession) handleSet(h wire.Header, payload []byte) error {
	m, err := parseSet(h, payload)
	if err != nil || !ss.peer.Load().has(FeatureControls) {
		return err
	}
	o := ss.findOutgoing(h)
	if m.Have != o.remote.number.Load() {
		o.queueRecord(wire.Controls)
	}
	o.remote.mu.Lock()
	o.remote.newest = m.Settings
	o.remote.mu.Unlock()
	notifyOne(o.remote.newSet)
	return nil
}

// How often settings are carried out: 20 a second, and 2 of motors.
const (
	settingEvery = time.Second / 20
	motorEvery   = time.Second / 2
)

// pace bounds how often settings are carried out, in whatever session and stream.
type pace struct{ settings, motors ratelimit.Limiter }

func newPace() *pace {
	return &pace{
		settings: ratelimit.Limiter{Burst: 1, Every: settingEvery},
		motors:   ratelimit.Limiter{Burst: 1, Every: motorEvery},
	}
}

// takeToken returns 0 if a setting may be carried out now, and takes note of that; else how
// long it has to wait.
func (p *pace) takeToken(s capture.Setting) time.Duration {
	motor := capture.IsMotor(s.ID)
	if motor {
		if wait := p.motors.Take(); wait > 0 {
			return wait
		}
	}
	wait := p.settings.Take()
	if wait > 0 && motor {
		p.motors.Refund(1) // it was not carried out
	}
	return wait
}

// progress is the number of the last setting that was carried out: of a motor, and of
// what has none and does not wait for motors.
type progress struct{ motors, others uint32 }

// numberOf returns the number of the kind of a setting.
func (p *progress) numberOf(s capture.Setting) *uint32 {
	if capture.IsMotor(s.ID) {
		return &p.motors
	}
	return &p.others
}

// applySettings carries out settings, one after the other, each once. While one has to wait a
// newer one of the same control takes its place.
func (o *outgoing) applySettings(session context.Context) error {
	var done progress
	for session.Err() == nil {
		next, wait := o.remote.nextSetting(&done, o.sender.pace)
		if wait == 0 {
			*done.numberOf(next.Setting) = next.Number
			o.remote.addAnswer(applySetting(o.producer.SetControl, next))
			o.remote.notifyChanged(o)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-o.remote.newSet:
		case <-timer.C:
		case <-session.Done():
		}
		timer.Stop()
	}
	return nil
}

func applySetting(set func(capture.Setting) (capture.Setting, error), wish numberSetting) answer {
	wish.Text = cutPrintable(wish.Text, maxText)
	granted, err := set(wish.Setting)
	if err != nil {
		return answer{Number: wish.Number, Error: cutPrintable(err.Error(), maxReason)}
	}
	granted.Text = cutPrintable(granted.Text, maxText)
	return answer{Number: wish.Number, Granted: &granted}
}

// nextSetting returns the first setting of the newest Set that was not carried out and need
// not wait, which the pace then counts, or how long until there may be one.
func (r *remote) nextSetting(done *progress, p *pace) (next numberSetting, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = math.MaxInt64
	for i, s := range r.newest {
		replaces := func(newer numberSetting) bool { return newer.ID == s.ID }
		if s.Number <= *done.numberOf(s.Setting) || slices.ContainsFunc(r.newest[i+1:], replaces) {
			continue
		}
		left := p.takeToken(s.Setting)
		if left == 0 {
			return s, 0
		}
		wait = min(wait, left)
	}
	return numberSetting{}, wait
}

// addAnswer adds an answer and forgets those that the viewer does not wait for.
func (r *remote) addAnswer(a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = slices.DeleteFunc(append(r.answers, a), func(a answer) bool {
		return !slices.ContainsFunc(r.newest, func(s numberSetting) bool { return s.Number == a.Number })
	})
}

// writeControls writes what holds now.
func (o *outgoing) writeControls() error {
	m := controlsMessage{Number: o.remote.number.Load()} // before the rest: that may be newer, never older
	if c := o.controls.Load(); c != nil {
		m.Controls = *c
	}
	o.remote.mu.Lock()
	m.Answers = slices.Clone(o.remote.answers)
	o.remote.mu.Unlock()
	return o.writeMessage(wire.Controls, encodeMessage(m))
}

// Controls returns what the sender reported last of the controls of the stream's
// camera; the list is shared and must not be changed. Consumer.ControlsChanged is
// called when there is more.
func (s *ReceiverStream) Controls() Controls {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	return s.controls
}

// SetControl asks the sender to set a control, and does not wait. done, if not
// nil, is called once from another goroutine, which must not wait in it, with
// what the driver granted. An older setting of the same control that was not
// answered yet is not carried out any more.
func (s *ReceiverStream) SetControl(wish capture.Setting, done func(granted capture.Setting, err error)) {
	if done == nil {
		done = func(capture.Setting, error) {}
	}
	wish.Text = cutPrintable(wish.Text, maxText)
	older, err := s.addPending(wish, done)
	for _, p := range older {
		go p.done(wish, ErrSuperseded)
	}
	if err != nil {
		go done(wish, err)
	}
}

// addPending has a setting wait for its answer, and has it sent. It returns the older
// ones that it replaces.
func (s *ReceiverStream) addPending(wish capture.Setting, done func(capture.Setting, error)) (older []pendingSetting, err error) {
	r := s.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	s.pending = slices.DeleteFunc(s.pending, func(p pendingSetting) bool {
		if p.ID == wish.ID {
			older = append(older, p)
		}
		return p.ID == wish.ID
	})
	switch {
	case s.closed:
		return older, ErrStreamClosed
	case len(s.pending) == maxPending:
		return older, ErrTooManySettings
	case r.current != nil && !r.current.controllable:
		return older, ErrNoRemoteControl
	}
	r.setting++
	s.pending = append(s.pending, pendingSetting{numberSetting{r.setting, wish}, done})
	s.queueRecord(wire.Set)
	return older, nil
}

// pendingSetting waits for the sender's answer.
type pendingSetting struct {
	numberSetting
	done func(capture.Setting, error)
}

// refuseSettings answers what waits with an error.
func (s *ReceiverStream) refuseSettings(err error) {
	s.receiver.mu.Lock()
	pending := s.pending
	s.pending = nil
	s.receiver.mu.Unlock()
	for _, p := range pending {
		p.done(p.Setting, err)
	}
}

// writeSet writes what the viewer wants, and what it has.
func (in *incoming) writeSet() error {
	if !in.session.controllable {
		return nil
	}
	m := setMessage{Have: in.have.Load()}
	r := in.session.receiver
	r.mu.Lock()
	s := r.streams[in.id].stream
	if s == nil {
		r.mu.Unlock()
		return nil
	}
	for _, p := range s.pending[:min(len(s.pending), maxSettings)] {
		m.Settings = append(m.Settings, p.numberSetting)
	}
	in.opened.Store(true)
	r.mu.Unlock()
	return in.session.writeRecord(wire.Header{Type: wire.Set, Stream: in.id}, encodeMessage(m))
}

// handleControls stores what the sender reports.
func (in *incoming) handleControls(h wire.Header, payload []byte) error {
	m, err := parseControls(h, payload)
	if err != nil || m.Number == in.have.Load() || in.user == nil {
		return err
	}
	in.have.Store(m.Number)
	r := in.session.receiver
	r.mu.Lock()
	in.user.controls = m.Controls
	r.mu.Unlock()
	in.user.consumer.ControlsChanged(m.Controls)
	in.user.resolveSettings(m.Answers)
	return nil
}

// resolveSettings ends the settings that the sender has answered, and sends those that
// had no room before.
func (s *ReceiverStream) resolveSettings(answers []answer) {
	r := s.receiver
	r.mu.Lock()
	var ready []pendingSetting
	s.pending = slices.DeleteFunc(s.pending, func(p pendingSetting) bool {
		i := slices.IndexFunc(answers, func(a answer) bool { return a.Number == p.Number })
		if i < 0 {
			return false
		}
		ready = append(ready, p.withAnswer(answers[i]))
		return true
	})
	if len(ready) > 0 && len(s.pending) > 0 {
		s.queueRecord(wire.Set)
	}
	r.mu.Unlock()
	for _, p := range ready {
		p.done(p.Setting, nil)
	}
}

// withAnswer returns the setting with its answer in place of its wish.
func (p pendingSetting) withAnswer(a answer) pendingSetting {
	done := p.done
	switch {
	case a.Granted != nil:
		p.Setting = *a.Granted
	case a.Error != "":
		p.done = func(s capture.Setting, _ error) { done(s, errors.New(a.Error)) }
	}
	return p
}
