package main

import (
	"context"
	"errors"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// source is what a stream has its frames from: a feed, or the microphone.
type source interface {
	// Next is that of a transport.Producer, which ends with errLeft once left is closed.
	Next(ctx context.Context, left <-chan struct{}) (transport.Unit, error)
	Lost() capture.Lost
}

// errLeft is returned for a source that a stream has no more.
var errLeft = errors.New("the stream has another source")

// servedStream is a stream of the sender: the transport.Producer of whichever feed it
// has, or of the microphone. A viewer that takes over a line may number its streams differently; a camera that
// still lingers then goes on with the feed that has it, and is not opened again.
type servedStream struct {
	catalogue *catalogue
	out       *transport.SenderStream
	listener  *listener // nil: no microphone is offered

	mu     sync.Mutex
	feed   *feed
	meter  *sendMeter
	source source          // feed or listener
	having context.Context // ends when the stream gets another source
	leave  func()          // ends it
	offset capture.Lost    // what makes the totals go on there, modulo 2^64
}

// current returns the source, and a context that ends when it is another one.
func (s *servedStream) current() (source, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source, s.having
}

// give makes a feed the stream's.
func (s *servedStream) give(f *feed, m *sendMeter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hears := s.hears()
	s.feed, s.meter = f, m
	if !hears {
		s.use(f)
	}
	f.stream.Store(s.out)
	f.controls.connectSender(s.out)
}

// use has the stream go on with a source. s.mu is held.
func (s *servedStream) use(next source) {
	switch {
	case s.source == next:
		return
	case s.source != nil:
		s.offset = minus(plus(s.source.Lost(), s.offset), next.Lost())
		s.leave()
	}
	s.source = next
	s.having, s.leave = context.WithCancel(context.Background())
}

// hears reports whether the stream is of the microphone. s.mu is held.
func (s *servedStream) hears() bool { return s.listener != nil && s.source == source(s.listener) }

// listens is hears for others.
func (s *servedStream) listens() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hears()
}

// currentFeed returns the feed.
func (s *servedStream) currentFeed() *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feed
}

// Start implements transport.Producer.
func (s *servedStream) Start(number uint32, want capture.Want) {
	if want.Kind == capture.Audio {
		s.listen(number, want.Camera)
		return
	}
	s.mu.Lock()
	if s.hears() {
		s.listener.microphone.stop(s.listener)
	}
	s.use(s.feed)
	s.mu.Unlock()
	s.catalogue.start(s, number, want)
}

// listen has the microphone heard in the stream.
func (s *servedStream) listen(number uint32, name string) {
	if s.listener == nil {
		s.out.Report(failedStatus(errNoMicrophone, number))
		return
	}
	s.mu.Lock()
	if !s.hears() && !s.feed.isIdle() {
		s.feed.Stop()
	}
	s.use(s.listener)
	s.mu.Unlock()
	s.listener.microphone.start(s.listener, number, name)
}

var errNoMicrophone = errors.New("the sender offers no microphone (tbcam-send --microphone)")

// Stop implements transport.Producer.
func (s *servedStream) Stop() {
	if s.listens() {
		s.listener.microphone.stop(s.listener)
		return
	}
	s.currentFeed().Stop()
}

// Next implements transport.Producer.
func (s *servedStream) Next(ctx context.Context) (transport.Unit, error) {
	for {
		from, having := s.current()
		unit, err := from.Next(ctx, having.Done())
		if ctx.Err() == nil && having.Err() != nil {
			if err == nil {
				unit.Frame.Release()
			}
			continue
		}
		s.mu.Lock()
		unit.Lost = plus(unit.Lost, s.offset)
		s.mu.Unlock()
		return unit, err
	}
}

// Lost implements transport.Producer.
func (s *servedStream) Lost() capture.Lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return plus(s.source.Lost(), s.offset)
}

// SetControl implements transport.Producer.
func (s *servedStream) SetControl(setting capture.Setting) (capture.Setting, error) {
	return s.currentFeed().SetControl(setting)
}

func plus(a, b capture.Lost) capture.Lost {
	a.Add(b)
	return a
}

func minus(a, b capture.Lost) capture.Lost {
	return capture.Lost{Driver: a.Driver - b.Driver, Damaged: a.Damaged - b.Damaged, Superseded: a.Superseded - b.Superseded}
}
