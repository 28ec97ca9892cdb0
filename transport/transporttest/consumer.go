package transporttest

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// Consumer is a viewer that checks every frame of a Producer, bit by bit, and keeps
// what it was given. What is exported may be set before it is used.
type Consumer struct {
	T        testing.TB
	Producer *Producer            // whose frames they are; nil: anybody's
	Slow     time.Duration        // what taking a frame takes
	Seen     func(*capture.Frame) // if set, is called with every frame before its release

	mu   sync.Mutex
	came Events
}

// Events are what a Consumer was called with so far.
type Events struct {
	Numbers  []uint32 // of the frames
	Formats  []capture.Format
	Times    []time.Time // when the frames came
	Modes    []transport.Mode
	Statuses []transport.Status
	Peers    []transport.Peer
	Ends     []error
	Totals   capture.Lost
	Controls []transport.Controls
}

// Frame implements transport.Consumer.
func (c *Consumer) Frame(f *capture.Frame, lost capture.Lost) {
	defer f.Release()
	if !c.sent(f) {
		c.T.Errorf("frame %d was not sent like this", f.Sequence)
	}
	if c.Seen != nil {
		c.Seen(f)
	}
	time.Sleep(c.Slow)
	c.noteEvent(func() {
		if n := len(c.came.Numbers); n > 0 && f.Sequence <= c.came.Numbers[n-1] {
			c.T.Errorf("frame %d comes after %d", f.Sequence, c.came.Numbers[n-1])
		}
		c.came.Numbers, c.came.Formats, c.came.Totals = append(c.came.Numbers, f.Sequence), append(c.came.Formats, f.Format), lost
		c.came.Times = append(c.came.Times, time.Now())
	})
}

// sent reports whether the producer, if there is one, sent this frame.
func (c *Consumer) sent(f *capture.Frame) bool {
	if c.Producer == nil {
		return true
	}
	_, captured := c.Producer.CapturedAt(f.Sequence)
	return captured && bytes.Equal(f.Data, c.Producer.contentOf(f.Sequence))
}

// Connected implements transport.Consumer.
func (c *Consumer) Connected(p transport.Peer) {
	c.noteEvent(func() { c.came.Peers = append(c.came.Peers, p) })
}

// Mode implements transport.Consumer.
func (c *Consumer) Mode(m transport.Mode) {
	c.noteEvent(func() { c.came.Modes = append(c.came.Modes, m) })
}

// Lost implements transport.Consumer.
func (c *Consumer) Lost(lost capture.Lost) { c.noteEvent(func() { c.came.Totals = lost }) }

// Status implements transport.Consumer.
func (c *Consumer) Status(s transport.Status) {
	c.noteEvent(func() { c.came.Statuses = append(c.came.Statuses, s) })
}

// ControlsChanged implements transport.Consumer.
func (c *Consumer) ControlsChanged(controls transport.Controls) {
	c.noteEvent(func() { c.came.Controls = append(c.came.Controls, controls) })
}

// Disconnected implements transport.Consumer.
func (c *Consumer) Disconnected(err error) {
	c.noteEvent(func() { c.came.Ends = append(c.came.Ends, err) })
}

func (c *Consumer) noteEvent(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
}

// Events returns what came so far.
func (c *Consumer) Events() Events {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.came
	e.Numbers, e.Times, e.Ends = slices.Clone(e.Numbers), slices.Clone(e.Times), slices.Clone(e.Ends)
	return e
}

// Frames returns how many frames came.
func (c *Consumer) Frames() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.came.Numbers)
}
