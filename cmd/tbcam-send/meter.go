package main

import (
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/codec/jfif"
)

// sendMeter measures what the sender can know: up to the wire.
type sendMeter struct {
	meter *meter.Meter
	feed  *feed
	bytes atomic.Uint64
}

func newMeter(f *feed) *sendMeter { return &sendMeter{meter: meter.New(), feed: f} }

// countSent counts a frame that was written.
func (m *sendMeter) countSent(f *capture.Frame) {
	m.bytes.Add(uint64(len(f.Data)))
	m.meter.Add(&f.At, time.Now())
}

// summarize returns the figures so far; its total ends when a frame was written.
func (m *sendMeter) summarize() meter.Summary {
	lost, counts := m.feed.countOutcomes()
	outcomes := meter.SenderOutcomes(lost)
	for cause, n := range counts {
		if n > 0 {
			outcomes = append(outcomes, meter.Outcome{Name: jfif.Cause(cause).String(), Count: n})
		}
	}
	s := meter.Summary{Time: time.Now(), Program: "tbcam-send", Kind: meter.Camera, Counted: "sent", Report: m.meter.Report(m.bytes.Load()), Outcomes: outcomes}
	m.feed.describeState(&s)
	s.Codec, s.CodecReason = m.feed.codecNow()
	return s
}
