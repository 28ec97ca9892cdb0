package main

import (
	"errors"
	"sync"
	"time"
)

// patience is how long a camera may deliver nothing usable before that is reported.
const patience = 3 * time.Second

// health is whether frames of the camera could be used.
type health struct {
	mu    sync.Mutex
	since time.Time // when the first frame after the last usable one was dropped, zero: none was
	cause error     // why the last one was
}

// noteFrame takes note of a frame: err is why it was dropped, nil if it was used.
func (h *health) noteFrame(err error) {
	if errors.Is(err, errStale) {
		return // it is no sign of how the camera that is open does
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause = err
	switch {
	case err == nil:
		h.since = time.Time{}
	case h.since.IsZero():
		h.since = time.Now()
	}
}

// findTrouble returns why no frame could be used for longer than patience, nil if some
// could.
func (h *health) findTrouble() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() || time.Since(h.since) < patience {
		return nil
	}
	return h.cause
}
