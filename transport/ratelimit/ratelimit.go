// Package ratelimit bounds how often something may happen that a peer causes: modes,
// settings, openings of cameras.
package ratelimit

import (
	"sync"
	"time"
)

// Limiter lets something happen Burst times in a row, and after that once in every
// period. The fields are set before it is used.
type Limiter struct {
	Burst int
	Every time.Duration

	mu   sync.Mutex
	full time.Time // when the whole burst is there again
}

// Take counts that it happens and returns 0, or returns how long it has to wait.
func (l *Limiter) Take() (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	full := now
	if l.full.After(now) {
		full = l.full
	}
	full = full.Add(l.Every)
	if wait = full.Sub(now.Add(time.Duration(l.Burst) * l.Every)); wait > 0 {
		return wait
	}
	l.full = full
	return 0
}

// Refund lets it happen n times more. There is never more than the burst.
func (l *Limiter) Refund(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = l.full.Add(-time.Duration(n) * l.Every)
}
