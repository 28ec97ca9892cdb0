package window

import (
	"os"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// outbox holds what is to be sent to the window as one update, in which newer
// values replace older ones: so a window that does not listen costs nothing.
type outbox struct {
	ready chan struct{} // an update is there; closed at the end

	mu     sync.Mutex
	closed bool
	update shm.Update
	memory *os.File // goes with the format in update
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

// putChange changes the update that waits.
func (o *outbox) putChange(change func(*shm.Update)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	change(&o.update)
	o.announceUpdate()
}

// encloseMore adds to the update that waits, or to the next one: it makes none.
func (o *outbox) encloseMore(more shm.Update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.update.Merge(more)
}

func (o *outbox) announceUpdate() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// putFormat takes over the memory for frames of a new format.
func (o *outbox) putFormat(format capture.Format, memory *os.File) {
	o.putChange(func(u *shm.Update) {
		o.dropMemory()
		u.Format, o.memory = &format, memory
		memory = nil
	})
	if memory != nil { // the window is gone
		memory.Close()
	}
}

// takeUpdate returns the update and the memory, if any, which the caller closes.
func (o *outbox) takeUpdate() (shm.Update, *os.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	update, memory := o.update, o.memory
	o.update, o.memory = shm.Update{}, nil
	return update, memory
}

// closeReady ends ready. Nothing is taken in any more.
func (o *outbox) closeReady() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.dropMemory()
	close(o.ready)
}

func (o *outbox) dropMemory() {
	if o.memory != nil {
		o.memory.Close()
		o.memory = nil
	}
}
