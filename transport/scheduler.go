package transport

import (
	"slices"
	"sync"
)

// scheduler decides which stream's frame the next record is of: one of audio before those
// of video, and of these the one whose record has waited longest. So a block of audio waits
// for one record at most, and a small frame for one of each other stream, never for the
// rest of a large frame.
type scheduler struct {
	mu      sync.Mutex
	waiting []*outgoing   // with a frame to be written, the first is next
	closed  bool          // takes no more frames
	drained chan struct{} // closed when the scheduler is, and no frame waits
}

func newScheduler() scheduler {
	return scheduler{waiting: make([]*outgoing, 0, MaxStreams), drained: make(chan struct{})}
}

// addUnit takes over the unit of a stream that has none there, and reports whether it
// will be written.
func (s *scheduler) addUnit(o *outgoing, unit Unit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	o.unit = unit
	s.waiting = append(s.waiting, o)
	return true
}

// nextStream returns the stream whose record is due, and has it wait for the next one after
// all others; nil if there is none.
func (s *scheduler) nextStream() *outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil
	}
	i := max(0, slices.IndexFunc(s.waiting, func(o *outgoing) bool { return o.unit.Frame.Format.IsAudio() }))
	o := s.waiting[i]
	copy(s.waiting[i:], s.waiting[i+1:])
	s.waiting[len(s.waiting)-1] = o
	return o
}

// removeStream takes a stream out whose frame was written or dropped.
func (s *scheduler) removeStream(o *outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, o)
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.checkDrained()
}

// closeQueue has it take no more frames. drained is closed when all others were written.
func (s *scheduler) closeQueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.checkDrained()
	}
}

func (s *scheduler) checkDrained() {
	if s.closed && len(s.waiting) == 0 {
		close(s.drained)
	}
}

// releaseAll releases the frames that will not be written any more.
func (s *scheduler) releaseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, o := range s.waiting {
		o.unit.Frame.Release()
	}
	s.waiting = nil
}
