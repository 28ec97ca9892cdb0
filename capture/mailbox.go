package capture

import "sync"

// Mailbox hands frames to one consumer and keeps only the newest: a frame that
// was not taken yet is released when the next one comes.
//
// The producer closes it; the consumer then still gets the last frame.
type Mailbox struct {
	mu     sync.Mutex // serialises Put and Close
	slot   chan *Frame
	closed bool
}

// NewMailbox returns an empty mailbox.
func NewMailbox() *Mailbox { return &Mailbox{slot: make(chan *Frame, 1)} }

// Put takes over the caller's reference. It never blocks, and reports whether
// it superseded a frame that was not taken yet. After Close the frame is dropped.
func (m *Mailbox) Put(f *Frame) (superseded bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		f.Release()
		return false
	}
	select {
	case old := <-m.slot:
		old.Release()
		superseded = true
	default:
	}
	m.slot <- f
	return superseded
}

// Frames is where the consumer receives; it then owns the frame.
func (m *Mailbox) Frames() <-chan *Frame { return m.slot }

// Close ends Frames after the frame that waits, if any. It may be called twice.
func (m *Mailbox) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		close(m.slot)
	}
}

// Discard releases the frame that waits, if any.
func (m *Mailbox) Discard() {
	select {
	case f := <-m.slot:
		if f != nil {
			f.Release()
		}
	default:
	}
}
