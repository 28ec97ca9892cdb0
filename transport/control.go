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
	"github.com/tbcam/tbcam/transport/wire"
)

// FeatureControls is the feature of peers that know Set and Controls.
const FeatureControls = "controls"

// Bounds of Set and Controls.
const (
	maxSettings   = 32       // in one Set, and so answers in one Controls
	maxSetPayload = 64 << 10 // bytes
	maxPending    = 1024     // settings that a Receiver keeps until they are answered
)

// Errors of Receiver.SetControl, beside those that the sender states.
var (
	// ErrNoRemoteControl: the sender is of a version without it.
	ErrNoRemoteControl = errors.New("the sender has no remote control")
	// ErrSuperseded: the control was set again before the sender came to it.
	ErrSuperseded = errors.New("superseded by a newer value")
	// ErrTooManySettings: the sender answers none of them.
	ErrTooManySettings = errors.New("too many settings are pending")
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
	m, err := decode[setMessage](h, payload, maxSetPayload)
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
	m, err := decode[controlsMessage](h, payload, wire.MaxPayload)
	if err != nil {
		return controlsMessage{}, err
	}
	m.Camera, m.Path = printable(m.Camera, maxText), printable(m.Path, maxText)
	if n := tidyControls(m.List); n > maxControls || len(m.Answers) > maxSettings {
		return controlsMessage{}, fmt.Errorf("read controls: %d controls and %d answers are too many", n, len(m.Answers))
	}
	for i := range m.Answers {
		a := &m.Answers[i]
		a.Error = printable(a.Error, maxReason)
		if a.Granted != nil {
			a.Granted.Text = printable(a.Granted.Text, maxText)
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
		c.Name, c.Type, c.Text = printable(c.Name, maxText), printable(c.Type, maxText), printable(c.Text, maxText)
		n += len(c.Menu)
		for j := range c.Menu {
			c.Menu[j].Name = printable(c.Menu[j].Name, maxText)
		}
	}
	return n
}

// bounded returns as many of the controls as a peer accepts.
func (c Controls) bounded() Controls {
	c.Camera, c.Path = printable(c.Camera, maxText), printable(c.Path, maxText)
	n := 0
	for i := range c.List {
		if n += 1 + len(c.List[i].Menu); n > maxControls {
			c.List = c.List[:i]
			break
		}
	}
	// What the answers may take beside it, however much of them is escaped.
	for len(c.List) > 0 && len(encode(c)) > wire.MaxPayload/2 {
		c.List = c.List[:len(c.List)-1]
	}
	return c
}

// ReportControls reports the controls of the camera to the viewer, now and when
// one connects. The list is not changed any more.
func (s *Sender) ReportControls(c Controls) {
	c = c.bounded()
	s.controls.Store(&c)
	if ss := s.current.Load(); ss != nil {
		ss.remote.notifyChanged(ss)
	}
}

// features returns what the sender knows beside the base of the protocol.
func (s *Sender) features() []string {
	if s.SetControl == nil {
		return nil
	}
	return []string{FeatureControls}
}

// remote is the sender's part of remote control in one session.
type remote struct {
	can    atomic.Bool   // the viewer knows it
	number atomic.Uint32 // of the newest Controls
	newSet chan struct{} // there is a new Set

	mu      sync.Mutex
	newest  []numberSetting // of the last Set
	answers []answer        // to these
}

// notifyChanged has the newest Controls written.
func (r *remote) notifyChanged(ss *senderSession) {
	r.number.Add(1)
	if r.can.Load() {
		ss.queue(wire.Controls)
	}
}

// handleSet takes note of a Set. It is answered by the goroutine of applySettings: what comes
// meanwhile takes the place of what came before.
func (ss *senderSession) handleSet(h wire.Header, payload []byte) error {
	m, err := parseSet(h, payload)
	if err != nil || !ss.remote.can.Load() {
		return err
	}
	if m.Have != ss.remote.number.Load() {
		ss.queue(wire.Controls)
	}
	ss.remote.mu.Lock()
	ss.remote.newest = m.Settings
	ss.remote.mu.Unlock()
	notify(ss.remote.newSet)
	return nil
}

// How often settings are carried out: 20 a second, and 2 of motors.
const (
	settingEvery = time.Second / 20
	motorEvery   = time.Second / 2
)

// pace is when a setting may be carried out again, in whatever session.
type pace struct{ setting, motor time.Time }

// wait returns how long a setting has to wait.
func (p *pace) wait(s capture.Setting) time.Duration {
	next := p.setting
	if capture.IsMotor(s.ID) && p.motor.After(next) {
		next = p.motor
	}
	return max(0, time.Until(next))
}

// note takes note that a setting was carried out.
func (p *pace) note(s capture.Setting) {
	p.setting = time.Now().Add(settingEvery)
	if capture.IsMotor(s.ID) {
		p.motor = time.Now().Add(motorEvery)
	}
}

// progress is the number of the last setting that was carried out: of a motor, and of
// what has none and does not wait for motors.
type progress struct{ motors, others uint32 }

// of returns the number of the kind of a setting.
func (p *progress) of(s capture.Setting) *uint32 {
	if capture.IsMotor(s.ID) {
		return &p.motors
	}
	return &p.others
}

// applySettings carries out settings, one after the other, each once. While one has to wait a
// newer one of the same control takes its place.
func (ss *senderSession) applySettings(session context.Context) error {
	var done progress
	for session.Err() == nil {
		next, wait := ss.remote.next(&done, &ss.sender.pace)
		if wait == 0 {
			*done.of(next.Setting) = next.Number
			ss.remote.answer(applySetting(ss.sender.SetControl, next))
			ss.sender.pace.note(next.Setting)
			ss.remote.notifyChanged(ss)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ss.remote.newSet:
		case <-timer.C:
		case <-session.Done():
		}
		timer.Stop()
	}
	return nil
}

func applySetting(set func(capture.Setting) (capture.Setting, error), wish numberSetting) answer {
	wish.Text = printable(wish.Text, maxText)
	granted, err := set(wish.Setting)
	if err != nil {
		return answer{Number: wish.Number, Error: printable(err.Error(), maxReason)}
	}
	granted.Text = printable(granted.Text, maxText)
	return answer{Number: wish.Number, Granted: &granted}
}

// next returns the first setting of the newest Set that was not carried out and need
// not wait, or how long until there may be one.
func (r *remote) next(done *progress, p *pace) (next numberSetting, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = math.MaxInt64
	for i, s := range r.newest {
		replaces := func(newer numberSetting) bool { return newer.ID == s.ID }
		if s.Number <= *done.of(s.Setting) || slices.ContainsFunc(r.newest[i+1:], replaces) {
			continue
		}
		left := p.wait(s.Setting)
		if left == 0 {
			return s, 0
		}
		wait = min(wait, left)
	}
	return numberSetting{}, wait
}

// answer adds an answer and forgets those that the viewer does not wait for.
func (r *remote) answer(a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = slices.DeleteFunc(append(r.answers, a), func(a answer) bool {
		return !slices.ContainsFunc(r.newest, func(s numberSetting) bool { return s.Number == a.Number })
	})
}

// writeControls writes what holds now.
func (ss *senderSession) writeControls() error {
	m := controlsMessage{Number: ss.remote.number.Load()} // before the rest: that may be newer, never older
	if c := ss.sender.controls.Load(); c != nil {
		m.Controls = *c
	}
	ss.remote.mu.Lock()
	m.Answers = slices.Clone(ss.remote.answers)
	ss.remote.mu.Unlock()
	return ss.writeRecord(wire.Header{Type: wire.Controls, Stream: VideoStream}, encode(m))
}

// Controls returns what the sender reported last of the controls of its camera; the
// list is shared and must not be changed. Receiver.ControlsChanged is called when
// there is more.
func (r *Receiver) Controls() Controls {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.controls
}

// SetControl asks the sender to set a control, and does not wait. done, if not
// nil, is called once from another goroutine, which must not wait in it, with
// what the driver granted. An older setting of the same control that was not
// answered yet is not carried out any more.
func (r *Receiver) SetControl(s capture.Setting, done func(granted capture.Setting, err error)) {
	if done == nil {
		done = func(capture.Setting, error) {}
	}
	s.Text = printable(s.Text, maxText)
	r.mu.Lock()
	var older []pendingSetting
	r.pending = slices.DeleteFunc(r.pending, func(p pendingSetting) bool {
		if p.ID == s.ID {
			older = append(older, p)
		}
		return p.ID == s.ID
	})
	err := ErrTooManySettings
	if len(r.pending) < maxPending {
		r.setting++
		r.pending, err = append(r.pending, pendingSetting{numberSetting{r.setting, s}, done}), nil
	}
	rs := r.current
	r.mu.Unlock()
	for _, p := range older {
		go p.done(s, ErrSuperseded)
	}
	switch {
	case err != nil:
		go done(s, err)
	case rs != nil && !rs.controllable:
		go r.refuseSettings()
	case rs != nil:
		rs.queue(wire.Set)
	}
}

// pendingSetting waits for the sender's answer.
type pendingSetting struct {
	numberSetting
	done func(capture.Setting, error)
}

// refuseSettings answers what waits where the sender has no remote control.
func (r *Receiver) refuseSettings() {
	r.mu.Lock()
	pending := r.pending
	r.pending = nil
	r.mu.Unlock()
	for _, p := range pending {
		p.done(p.Setting, ErrNoRemoteControl)
	}
}

// writeSet writes what the viewer wants, and what it has.
func (rs *receiverSession) writeSet() error {
	if !rs.controllable {
		return nil
	}
	m := setMessage{Have: rs.have.Load()}
	r := rs.receiver
	r.mu.Lock()
	for _, p := range r.pending[:min(len(r.pending), maxSettings)] {
		m.Settings = append(m.Settings, p.numberSetting)
	}
	r.mu.Unlock()
	return rs.writeRecord(wire.Header{Type: wire.Set, Stream: VideoStream}, encode(m))
}

// handleControls stores what the sender reports.
func (rs *receiverSession) handleControls(h wire.Header, payload []byte) error {
	m, err := parseControls(h, payload)
	if err != nil || m.Number == rs.have.Load() {
		return err
	}
	rs.have.Store(m.Number)
	r := rs.receiver
	r.mu.Lock()
	r.controls = m.Controls
	r.mu.Unlock()
	if r.ControlsChanged != nil {
		r.ControlsChanged(m.Controls)
	}
	r.resolveSettings(m.Answers)
	return nil
}

// resolveSettings ends the settings that the sender has answered, and sends those that
// had no room before.
func (r *Receiver) resolveSettings(answers []answer) {
	r.mu.Lock()
	var ready []pendingSetting
	r.pending = slices.DeleteFunc(r.pending, func(p pendingSetting) bool {
		i := slices.IndexFunc(answers, func(a answer) bool { return a.Number == p.Number })
		if i < 0 {
			return false
		}
		ready = append(ready, p.withAnswer(answers[i]))
		return true
	})
	more, rs := len(ready) > 0 && len(r.pending) > 0, r.current
	r.mu.Unlock()
	for _, p := range ready {
		p.done(p.Setting, nil)
	}
	if more && rs != nil {
		rs.queue(wire.Set)
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
