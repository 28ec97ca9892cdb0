package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/transport"
)

// catalogue is the cameras of this host, and its microphone, as a transport.Sender serves
// them: each stream has a feed of its own, and they share which camera is open.
type catalogue struct {
	ctx        context.Context // of the program
	first      *feed           // of the first stream that is opened
	microphone *microphone     // nil: none is offered
	log        *slog.Logger

	mu     sync.Mutex
	served []*servedStream
}

// launch has a feed serve requests.
func (c *catalogue) launch(f *feed) {
	f.report = f.reportToStream
	f.camera.startServing(c.ctx)
}

// Cameras implements transport.Catalogue.
func (c *catalogue) Cameras(context.Context) []capture.Device {
	cameras, err := c.first.camera.offer.listOffered()
	if err != nil {
		c.log.Warn("list cameras", "err", err)
	}
	return append(devicesOf(cameras), c.microphone.devices()...)
}

// Open implements transport.Catalogue.
func (c *catalogue) Open(s *transport.SenderStream) transport.Producer {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.first
	if len(c.served) > 0 {
		f = c.first.another(c.log.With("stream", s.Number()))
		c.launch(f)
	}
	stream := &servedStream{catalogue: c, out: s}
	if c.microphone != nil {
		stream.listener = newListener(c.microphone, s)
	}
	stream.give(f, newMeter(f))
	c.served = append(c.served, stream)
	return stream
}

// start requests frames in a stream. If another one lingers on the camera, the two
// exchange their feeds before.
func (c *catalogue) start(s *servedStream, number uint32, want capture.Want) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.lingeringOn(want.Camera); other != nil && other != s && s.feed.isIdle() {
		feed, meter := s.feed, s.meter
		s.give(other.feed, other.meter)
		other.give(feed, meter)
	}
	s.feed.Start(number, want)
}

// lingeringOn returns the stream whose camera of a name is still open though nobody asks
// for it, or nil. c.mu is held.
func (c *catalogue) lingeringOn(name string) *servedStream {
	var streams []*servedStream
	var open []capture.Device
	for _, s := range c.served {
		if device, ok := s.feed.lingering(); ok {
			streams, open = append(streams, s), append(open, device)
		}
	}
	found, err := capture.FindDevice(open, name)
	if name == "" || err != nil {
		return nil
	}
	return streams[slices.IndexFunc(open, func(d capture.Device) bool { return d.Path == found.Path })]
}

// sent counts a frame or a block that was written.
func (c *catalogue) sent(stream int, f *capture.Frame) {
	if f.Format.IsAudio() {
		c.microphone.countSent(f)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.served {
		if s.out.Number() == stream {
			s.meter.countSent(f)
		}
	}
}

// isIdle reports whether nobody asks for frames.
func (c *catalogue) isIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.microphone.isIdle() && !slices.ContainsFunc(c.served, func(s *servedStream) bool { return !s.feed.isIdle() })
}

// summaries returns the figures of each stream, and those of the microphone last; without a
// viewer all of them wait.
func (c *catalogue) summaries(connected bool) []meter.Summary {
	all := c.cameraSummaries()
	if c.microphone != nil {
		all = append(all, c.microphone.summarize())
	}
	for i := range all {
		all[i].Several = len(all) > 1
		if !connected {
			all[i].State, all[i].Reason, all[i].Mode = meter.Waiting, "waiting for a viewer", nil
		}
	}
	return all
}

func (c *catalogue) cameraSummaries() (all []meter.Summary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.served {
		if !s.listens() {
			all = append(all, s.meter.summarize())
		}
	}
	if len(all) == 0 {
		all = append(all, newMeter(c.first).summarize())
	}
	return all
}

// close ends all feeds.
func (c *catalogue) close() {
	c.microphone.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first.closeCamera()
	for _, s := range c.served {
		if s.feed != c.first {
			s.feed.closeCamera()
		}
	}
}
