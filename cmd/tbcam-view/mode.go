package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// modes is which mode is wanted of the camera, and which it has.
type modes struct {
	demand modeDemand

	mu      sync.Mutex
	want    capture.Want
	mode    *transport.Mode  // nil: none yet, or there is no camera
	status  transport.Status // the last one of the session
	changed chan struct{}    // closed, and replaced, with every change
	turn    sync.Mutex       // held while one caller changes the mode
}

// modeDemand is the demand of the viewer.
type modeDemand interface {
	ask(want capture.Want) (request uint32, needed bool)
	keep(want capture.Want)
}

func newModes(want capture.Want, d modeDemand) *modes {
	return &modes{demand: d, want: want, changed: make(chan struct{})}
}

// update changes something under the lock and wakes those who wait.
func (m *modes) update(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
	close(m.changed)
	m.changed = make(chan struct{})
}

// setMode takes note of the mode that the camera has.
func (m *modes) setMode(mode transport.Mode) { m.update(func() { m.mode = &mode }) }

// setStatus takes note of a status: a refused request leaves the camera as it is.
func (m *modes) setStatus(status transport.Status) {
	m.update(func() {
		m.status = status
		if status.State != transport.Running && status.State != transport.Refused {
			m.mode = nil
		}
	})
}

// clear forgets the state of the last session.
func (m *modes) clear() { m.update(func() { m.mode, m.status = nil, transport.Status{} }) }

func (m *modes) wanted() capture.Want {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want
}

// current returns the mode that the camera has.
func (m *modes) current() (transport.Mode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mode == nil {
		return transport.Mode{}, m.status.Cause.Err("the camera is off: " + cmp.Or(m.status.Text, "waiting for tbcam-send"))
	}
	return *m.mode, nil
}

// requestMode asks for another mode; what it leaves open stays as it was asked before. It
// waits for what the camera's driver grants. What a camera cannot have is taken
// back.
func (m *modes) requestMode(ctx context.Context, change capture.Want) (transport.Mode, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	before := m.wanted()
	want := change.WithDefaults(before)
	if err := want.Check(); err != nil {
		return transport.Mode{}, err
	}
	request, needed := m.demand.ask(want)
	if !needed {
		m.demand.ask(before)
		return transport.Mode{}, errors.New("the camera is off: no application reads the virtual camera")
	}
	mode, err := m.awaitMode(ctx, request)
	switch {
	case errors.Is(err, errRefused):
		m.demand.keep(before)
	case err != nil:
		m.demand.ask(before)
	default:
		m.update(func() { m.want = want })
	}
	return mode, err
}

// errRefused is returned when the sender keeps the mode that ran before.
var errRefused = errors.New("request refused by the sender")

// awaitMode waits for a mode that answers a request, or for the sender's word that there
// will be none.
func (m *modes) awaitMode(ctx context.Context, request uint32) (transport.Mode, error) {
	for {
		m.mu.Lock()
		mode, status, changed := m.mode, m.status, m.changed
		m.mu.Unlock()
		if mode != nil && mode.Request == request {
			return *mode, nil
		}
		if status.Request == request {
			switch err := status.Cause.Err(status.Text); status.State {
			case transport.Refused:
				return transport.Mode{}, &refusal{err}
			case transport.Failed, transport.Waiting:
				return transport.Mode{}, err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return transport.Mode{}, fmt.Errorf("change mode: no answer from the sender: %w", ctx.Err())
		}
	}
}

// refusal is a refused request, in the words of the sender.
type refusal struct{ error }

func (r *refusal) Unwrap() []error { return []error{r.error, errRefused} }
