package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// limit is when the program ends: after so many frames, or so long after the first one,
// of all streams. Zero values are no limit.
type limit struct {
	frames   int
	duration time.Duration
	// timeUp is called when the time is up, and when a stream stops after that: while
	// nobody asks for frames, nothing else would notice.
	timeUp func()

	mu    sync.Mutex
	taken int
	until time.Time // set at the first frame
}

var errTimeUp = errors.New("the duration is over")

// take takes one of the frames, unless all were taken.
func (l *limit) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frames > 0 && l.taken >= l.frames {
		return false
	}
	l.taken++
	return true
}

// giveBack gives back a frame that could not be used.
func (l *limit) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
}

// allTaken reports whether there are no more frames to take.
func (l *limit) allTaken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frames > 0 && l.taken >= l.frames
}

// beginCount begins the duration with the first frame.
func (l *limit) beginCount() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.duration == 0 || !l.until.IsZero() {
		return
	}
	l.until = time.Now().Add(l.duration)
	if l.timeUp != nil {
		time.AfterFunc(l.duration, l.timeUp)
	}
}

// noteStop notes that a stream has stopped.
func (l *limit) noteStop() {
	l.mu.Lock()
	over := !l.until.IsZero() && !time.Now().Before(l.until)
	l.mu.Unlock()
	if over && l.timeUp != nil {
		l.timeUp()
	}
}

// context returns one that ends when the time is up.
func (l *limit) context(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, l.until, errTimeUp)
}
