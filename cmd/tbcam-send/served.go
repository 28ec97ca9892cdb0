package main

import (
	"context"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// servedStream is a stream of the sender: the transport.Producer of whichever feed it
// has. A viewer that takes over a line may number its streams differently; a camera that
// still lingers then goes on with the feed that has it, and is not opened again.
type servedStream struct {
	catalogue *catalogue
	out       *transport.SenderStream

	mu     sync.Mutex
	feed   *feed
	meter  *sendMeter
	having context.Context // ends when the stream gets another feed
	leave  func()          // ends it
	offset capture.Lost    // what makes the totals go on there, modulo 2^64
}

// current returns the feed, and a context that ends when it is another's.
func (s *servedStream) current() (*feed, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feed, s.having
}

// give makes a feed the stream's.
func (s *servedStream) give(f *feed, m *sendMeter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != nil {
		s.offset = minus(plus(s.feed.Lost(), s.offset), f.Lost())
		s.leave()
	}
	s.feed, s.meter = f, m
	s.having, s.leave = context.WithCancel(context.Background())
	f.stream.Store(s.out)
	f.controls.connectSender(s.out)
}

// Start implements transport.Producer.
func (s *servedStream) Start(number uint32, want capture.Want) { s.catalogue.start(s, number, want) }

// Stop implements transport.Producer.
func (s *servedStream) Stop() {
	f, _ := s.current()
	f.Stop()
}

// Next implements transport.Producer.
func (s *servedStream) Next(ctx context.Context) (transport.Unit, error) {
	for {
		f, having := s.current()
		unit, err := nextWhile(ctx, having, f)
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

// nextWhile returns the next frame of a feed while the stream has that.
func nextWhile(ctx, having context.Context, f *feed) (transport.Unit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(having, cancel)()
	return f.Next(ctx)
}

// Lost implements transport.Producer.
func (s *servedStream) Lost() capture.Lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return plus(s.feed.Lost(), s.offset)
}

// SetControl implements transport.Producer.
func (s *servedStream) SetControl(setting capture.Setting) (capture.Setting, error) {
	f, _ := s.current()
	return f.SetControl(setting)
}

func plus(a, b capture.Lost) capture.Lost {
	a.Add(b)
	return a
}

func minus(a, b capture.Lost) capture.Lost {
	return capture.Lost{Driver: a.Driver - b.Driver, Damaged: a.Damaged - b.Damaged, Superseded: a.Superseded - b.Superseded}
}
