package trust

import (
	"fmt"
	"sync"
	"time"
)

// How often a user may type a wrong number before pairing pauses.
const (
	maxWrong = 3
	pause    = time.Minute
)

// PauseError is returned when too many wrong numbers were typed.
type PauseError struct{ Left time.Duration }

func (e *PauseError) Error() string {
	return fmt.Sprintf("pairing is paused for %v after %d wrong numbers", e.Left.Round(time.Second), maxWrong)
}

// Attempts counts wrong numbers. All handshakes of a sender share one. The zero value is
// ready for use.
type Attempts struct {
	mu    sync.Mutex
	wrong int
	until time.Time // pairing pauses
}

// check returns a PauseError while pairing pauses.
func (a *Attempts) check() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if left := time.Until(a.until); left > 0 {
		return &PauseError{left}
	}
	return nil
}

// fail counts a wrong number, and returns a PauseError after the last one allowed.
func (a *Attempts) fail() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrong++; a.wrong < maxWrong {
		return nil
	}
	a.wrong, a.until = 0, time.Now().Add(pause)
	return &PauseError{pause}
}

// succeed forgets the wrong numbers.
func (a *Attempts) succeed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wrong = 0
}
