package transport

import (
	"sync"
	"time"
)

// allowance bounds how often something may happen: a burst, and from then on once
// per interval.
type allowance struct {
	mu    sync.Mutex
	spent time.Time // the burst is whole again an interval times burst after that
}

// limit is what an allowance allows.
type limit struct {
	burst    int
	interval time.Duration
	request  int // how many more for each request of the viewer, which may cause them
}

// How often a sender may announce a mode and a status. It keeps to half of that
// with modes; of its states, each lasts longer.
var (
	modeLimit    = limit{32, time.Second, 4}
	ownModeLimit = limit{16, 2 * time.Second, 2}
	statusLimit  = limit{64, 250 * time.Millisecond, 4}
)

// take reports whether it may happen now, and counts that.
func (a *allowance) take(l limit) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	spent := latest(a.spent, now.Add(-time.Duration(l.burst)*l.interval)).Add(l.interval)
	if spent.After(now) {
		return false
	}
	a.spent = spent
	return true
}

// request allows for what a request may cause.
func (a *allowance) request(l limit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent = a.spent.Add(-time.Duration(l.request) * l.interval)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
