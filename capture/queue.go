package capture

import "sync"

// Queue hands all frames to one consumer, in their order and up to a bound: it is for
// audio, of which every block counts.
//
// The producer closes it; the consumer then still gets the frames that wait.
type Queue struct {
	mu     sync.Mutex // serialises Put and Close
	frames chan *Frame
	closed bool
}

// NewQueue returns an empty queue for at most limit frames.
func NewQueue(limit int) *Queue { return &Queue{frames: make(chan *Frame, limit)} }

// Put takes over the caller's reference. It never blocks, and reports whether the
// frame is in the queue: where that is full, or after Close, the frame is released.
func (q *Queue) Put(f *Frame) (taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		select {
		case q.frames <- f:
			return true
		default:
		}
	}
	f.Release()
	return false
}

// Frames is where the consumer receives; it then owns the frame.
func (q *Queue) Frames() <-chan *Frame { return q.frames }

// Close ends Frames after the frames that wait. It may be called twice.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.frames)
	}
}

// Discard releases the frames that wait.
func (q *Queue) Discard() {
	for {
		select {
		case f := <-q.frames:
			if f == nil { // closed and empty
				return
			}
			f.Release()
		default:
			return
		}
	}
}
