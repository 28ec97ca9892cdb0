package window

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Event is something that happened in the window.
type Event struct {
	Kind Kind
	// Of a frame that was Shown: when, and the sequence number and times of its frame.
	//
	// ShownAt is when the graphics card had drawn the window with the frame and
	// was about to put it on the screen. What the screen and a compositor add is
	// not known to the window.
	ShownAt  time.Time
	Sequence uint32 // also of Snapshot: of the frame that its user saw
	At       [capture.NumStages]time.Time

	On      bool   // of Statistics and Meter: they are looked at
	Control uint32 // of SetControl: its ID, and the value to set
	Value   int64
}

// Kind is the kind of an event.
type Kind int

// The kinds of events. Started is the first; Quit is the last: the user closed
// the window.
const (
	Shown Kind = iota
	Started
	Snapshot
	Record
	Statistics
	Meter
	Mute
	SetControl
	Confirm
	Quit
)

// eventQueue is how many events wait to be received.
const eventQueue = 32

// Events is where events come from until the window is gone. They are to be
// received all the time: while the queue is full Shown is dropped, but keys wait.
func (w *Window) Events() <-chan Event { return w.events }

// receiveReports passes the reports of the window's process on until it is gone or
// Close was called; the error is what it did wrong.
func (w *Window) receiveReports() error {
	for {
		var report shm.Report
		_, err := w.conn.Receive(&report)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		}
		if err := w.handleReport(report); err != nil {
			return err
		}
	}
}

func (w *Window) handleReport(r shm.Report) error {
	switch r.Action {
	case shm.Shown:
		w.deliverShown(r)
	case shm.Started:
		w.deliverEvent(Event{Kind: Started})
	case shm.Snapshot:
		w.takeSnapshot()
	case shm.Record:
		w.deliverEvent(Event{Kind: Record})
	case shm.Statistics:
		w.deliverEvent(Event{Kind: Statistics, On: r.On})
	case shm.Meter:
		w.deliverEvent(Event{Kind: Meter, On: r.On})
	case shm.Mute:
		w.deliverEvent(Event{Kind: Mute})
	case shm.SetControl:
		w.deliverEvent(Event{Kind: SetControl, Control: r.Control, Value: r.Value})
	case shm.Confirm:
		w.deliverEvent(Event{Kind: Confirm})
	case shm.Quit:
		w.noteEnd(ErrClosed)
		w.deliverEvent(Event{Kind: Quit})
	default:
		return fmt.Errorf("unknown report %.20q", r.Action)
	}
	return nil
}

// deliverEvent waits for a place in the queue, or for Close.
func (w *Window) deliverEvent(e Event) {
	select {
	case w.events <- e:
	case <-w.closing:
	}
}

func (w *Window) takeSnapshot() {
	w.mu.Lock()
	p := w.showing
	w.mu.Unlock()
	w.deliverEvent(Event{Kind: Snapshot, Sequence: p.sequence, At: p.at})
}

// deliverShown delivers that a frame was shown, if that can be true.
func (w *Window) deliverShown(r shm.Report) {
	w.mu.Lock()
	p, ok := w.pending.takeFrame(r)
	if ok {
		w.stats.Shown++
		w.showing = p
	}
	w.mu.Unlock()
	if !ok {
		return
	}
	select {
	case w.events <- Event{Kind: Shown, ShownAt: shm.Time(r.At), Sequence: p.sequence, At: p.at}:
	default:
	}
}

// pendingFrames remembers the frames that may be reported as shown; older ones were
// superseded long before.
type pendingFrames struct {
	last   uint64
	recent [4 * shm.Slots]pendingFrame
}

type pendingFrame struct {
	id        uint64
	presented int64 // of shm.Monotonic
	sequence  uint32
	at        [capture.NumStages]time.Time
}

// addFrame returns the identity that it gave to the frame.
func (p *pendingFrames) addFrame(f *capture.Frame) uint64 {
	p.last++
	p.recent[p.last%uint64(len(p.recent))] = pendingFrame{p.last, shm.Monotonic(), f.Sequence, f.At}
	return p.last
}

// takeFrame forgets the frame of a report, and reports whether the report can be true.
func (p *pendingFrames) takeFrame(r shm.Report) (pendingFrame, bool) {
	place := &p.recent[r.ID%uint64(len(p.recent))]
	known := *place
	if known.id == 0 || known.id != r.ID || r.At < known.presented || r.At > shm.Monotonic() {
		return pendingFrame{}, false
	}
	*place = pendingFrame{}
	return known, true
}
