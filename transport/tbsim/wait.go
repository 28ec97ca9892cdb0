package tbsim

import "time"

// Events of poll(2), with its numbers.
const (
	PollIn   int16 = 0x01
	PollOut  int16 = 0x04
	PollErr  int16 = 0x08
	PollHup  int16 = 0x10
	PollNval int16 = 0x20
)

// Wake-ups beside those of poll.
const (
	wakeTx    int16 = 1 << 8 // a packet has left the TX ring
	wakeRx    int16 = 1 << 9 // one has come into the RX ring
	wakeState int16 = 1 << 10
	wakeAll   int16 = 1<<11 - 1
)

const forever = time.Duration(-1)

// waiter is a call that sleeps.
type waiter struct {
	events int16
	woken  chan struct{}
}

// awaitCondition waits until holds does, for limit at most, and reports whether it does. It
// looks only at the start, at a wake-up of one of the events, and at the end: a
// wake-up that the driver forgets is missed here, too. The cable's lock is held
// except while it sleeps.
func (e *End) awaitCondition(events int16, limit time.Duration, holds func() bool) bool {
	if holds() || limit == 0 {
		return holds()
	}
	w := &waiter{events, make(chan struct{}, 1)}
	e.waiters = append(e.waiters, w)
	defer e.forgetWaiter(w)
	var expired <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		late := e.cable.sleepUnlocked(w.woken, expired)
		if holds() || late {
			return holds()
		}
	}
}

// sleepUnlocked lets go of the lock until one of the channels is ready.
func (c *Cable) sleepUnlocked(woken <-chan struct{}, expired <-chan time.Time) (late bool) {
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-woken:
		return false
	case <-expired:
		return true
	}
}

func (e *End) forgetWaiter(w *waiter) {
	for i := range e.waiters {
		if e.waiters[i] == w {
			last := len(e.waiters) - 1
			e.waiters[i], e.waiters[last] = e.waiters[last], nil
			e.waiters = e.waiters[:last]
			return
		}
	}
}

// wakeWaiters wakes the calls that wait for one of the events.
func (e *End) wakeWaiters(events int16) {
	for _, w := range e.waiters {
		if w.events&events != 0 {
			select {
			case w.woken <- struct{}{}:
			default:
			}
		}
	}
}
