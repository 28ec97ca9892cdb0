package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/tbcam/tbcam/transport"
)

// modes is which mode the camera has, and what became of a request for another one.
type modes struct {
	mu      sync.Mutex
	mode    *transport.Mode // nil: none yet, or there is no camera
	status  transport.Status
	changed chan struct{} // closed, and replaced, with every change
}

func newModes() *modes { return &modes{changed: make(chan struct{})} }

// updateState changes something under the lock and wakes those who wait.
func (m *modes) updateState(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
	close(m.changed)
	m.changed = make(chan struct{})
}

// setMode takes note of the mode that the camera has.
func (m *modes) setMode(mode transport.Mode) { m.updateState(func() { m.mode = &mode }) }

// setStatus takes note of a status: a refused request leaves the camera as it is.
func (m *modes) setStatus(status transport.Status) {
	m.updateState(func() {
		m.status = status
		if status.State != transport.Running && status.State != transport.Refused {
			m.mode = nil
		}
	})
}

// clearState forgets the state of the last session.
func (m *modes) clearState() { m.updateState(func() { m.mode, m.status = nil, transport.Status{} }) }

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
			switch status.State {
			case transport.Refused, transport.Failed, transport.Waiting:
				return transport.Mode{}, status.Cause.Err(status.Text)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return transport.Mode{}, fmt.Errorf("mode: no answer from the sender: %w", ctx.Err())
		}
	}
}
