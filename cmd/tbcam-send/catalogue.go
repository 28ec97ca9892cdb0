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

// catalogue is the cameras of this host as a transport.Sender serves them: each stream
// has a feed of its own, and they share which camera is open.
type catalogue struct {
	ctx   context.Context // of the program
	first *feed           // of the first stream that is opened
	log   *slog.Logger

	mu     sync.Mutex
	served []served
}

// served is a stream that was opened.
type served struct {
	number int
	feed   *feed
	meter  *sendMeter
}

// launch has a feed serve requests.
func (c *catalogue) launch(f *feed) {
	f.report = f.reportToStream
	f.camera.launch(c.ctx)
}

// Cameras implements transport.Catalogue.
func (c *catalogue) Cameras(context.Context) []capture.Device {
	cameras, err := c.first.camera.offer.list()
	if err != nil {
		c.log.Warn("list cameras", "err", err)
	}
	return devicesOf(cameras)
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
	f.stream.Store(s)
	f.controls.connect(s)
	c.served = append(c.served, served{s.Number(), f, newMeter(f)})
	return f
}

// sent counts a frame that was written.
func (c *catalogue) sent(stream int, f *capture.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.served {
		if s.number == stream {
			s.meter.sent(f)
		}
	}
}

// isIdle reports whether nobody asks for frames.
func (c *catalogue) isIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.served, func(s served) bool { return s.feed.camera.current().want != nil })
}

// summaries returns the figures of each stream, and the camera of each where there are
// several.
func (c *catalogue) summaries() []meter.Summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.served) == 0 {
		return []meter.Summary{newMeter(c.first).summary()}
	}
	all := make([]meter.Summary, len(c.served))
	for i, s := range c.served {
		all[i] = s.meter.summary()
		if len(c.served) > 1 {
			all[i].Camera = s.feed.controls.cameraName()
		}
	}
	return all
}

// close ends all feeds.
func (c *catalogue) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first.close()
	for _, s := range c.served {
		if s.feed != c.first {
			s.feed.close()
		}
	}
}
