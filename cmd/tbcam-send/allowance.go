package main

import (
	"sync"
	"time"
)

// allowance lets something happen so many times in a row, and after that once in
// every period.
type allowance struct {
	burst int
	every time.Duration

	mu   sync.Mutex
	full time.Time // when the whole burst is there again
}

// take takes note that it happens now and returns 0, or how long it takes until it may
// happen.
func (a *allowance) take() (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if wait = a.full.Add(-time.Duration(a.burst-1) * a.every).Sub(now); wait > 0 {
		return wait
	}
	if a.full.Before(now) {
		a.full = now
	}
	a.full = a.full.Add(a.every)
	return 0
}
