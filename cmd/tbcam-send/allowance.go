package main

import "time"

// allowance lets something happen so many times in a row, and after that once in
// every period.
type allowance struct {
	burst int
	every time.Duration
	full  time.Time // when the whole burst is there again
}

// wait returns how long it takes until it may happen once more.
func (a *allowance) wait(now time.Time) time.Duration {
	return max(0, a.full.Add(-time.Duration(a.burst-1)*a.every).Sub(now))
}

// take takes note that it happens.
func (a *allowance) take(now time.Time) {
	if a.full.Before(now) {
		a.full = now
	}
	a.full = a.full.Add(a.every)
}
