package sink

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// reopen is how long a sink that failed is left alone.
const reopen = time.Second

// ErrDone is returned by a sink that wants no more frames, for instance a
// snapshot that was taken: it is closed and not opened again.
var ErrDone = errors.New("sink is done")

// Sink takes frames. Its methods are called by one goroutine.
type Sink interface {
	// Present takes over the reference of a frame that others may hold too.
	Present(f *capture.Frame) error
	Close() error
}

// Decoder turns received frames into raw ones; codec.Decoder is one.
type Decoder interface {
	Decode(f *capture.Frame) (*capture.Frame, error)
	// Close ends a Decode that is running. It is called by any goroutine, and twice.
	Close()
}

// Fanout hands each received frame to its taps, and the newest of them, decoded
// once, to its sinks. The goroutine that calls Frame is never held up.
type Fanout struct {
	decoder Decoder
	log     *slog.Logger
	taps    []func(*capture.Frame) // for every received frame
	outlets []*outlet

	received   *capture.Mailbox // to decode
	damaged    atomic.Uint64
	superseded atomic.Uint64 // not decoded, since a newer one was there
	closing    chan struct{}
}

// outlet is a sink, its opening and its mailbox.
type outlet struct {
	name       string
	open       func() (Sink, error)
	need       func() Need
	sink       Sink // nil while it is closed
	box        *capture.Mailbox
	done       atomic.Bool // it wants no more frames
	superseded atomic.Uint64
	presented  func(*capture.Frame)
}

// takes reports whether the sink takes such frames.
func (out *outlet) takes(n Need) bool { return !out.done.Load() && out.need() == n }

// NewFanout returns a fan-out without sinks. It owns the decoder.
func NewFanout(decoder Decoder, log *slog.Logger) *Fanout {
	return &Fanout{decoder: decoder, log: log, received: capture.NewMailbox(), closing: make(chan struct{})}
}

// Tap adds a function that gets every received frame, as it came. It takes over
// a reference and must not wait.
func (o *Fanout) Tap(tap func(*capture.Frame)) { o.taps = append(o.taps, tap) }

// Add opens a sink of decoded frames. open is called again whenever the sink has
// failed; presented, if not nil, after each frame and before its release. All
// sinks are added before Run.
func (o *Fanout) Add(name string, open func() (Sink, error), presented func(*capture.Frame)) error {
	return o.AddFor(func() Need { return Decoded }, name, open, presented)
}

// AddFor adds a sink that takes what need returns, which is asked for each frame
// by any goroutine.
func (o *Fanout) AddFor(need func() Need, name string, open func() (Sink, error), presented func(*capture.Frame)) error {
	s, err := open()
	if err != nil {
		return err
	}
	o.outlets = append(o.outlets, &outlet{
		name: name, open: open, need: need, sink: s, box: capture.NewMailbox(), presented: presented,
	})
	return nil
}

// Frame takes over the reference of a received frame.
func (o *Fanout) Frame(f *capture.Frame) {
	for _, tap := range o.taps {
		tap(f.Retain())
	}
	o.share(f, Received)
	switch {
	case !o.needed(Decoded):
		f.Release()
	case o.received.Put(f):
		o.superseded.Add(1)
	}
}

// needed reports whether any sink takes such frames.
func (o *Fanout) needed(n Need) bool {
	return slices.ContainsFunc(o.outlets, func(out *outlet) bool { return out.takes(n) })
}

// Run serves the sinks until Close, lets them present what they were handed
// before, and closes them.
func (o *Fanout) Run() {
	var sinks sync.WaitGroup
	for _, out := range o.outlets {
		sinks.Go(func() { out.run(o.closing, o.log) })
	}
	for f := range o.received.Frames() {
		o.decode(f)
	}
	o.decoder.Close()
	for _, out := range o.outlets {
		out.box.Close()
	}
	sinks.Wait()
	for _, out := range o.outlets { // what came when its sink had failed
		out.box.Discard()
	}
}

// Close ends Run. Frame must not be called any more.
func (o *Fanout) Close() {
	o.received.Close()
	close(o.closing)
}

// Hurry ends decoding: whatever is being decoded, Run waits no longer for it. It may
// be called by any goroutine.
func (o *Fanout) Hurry() { o.decoder.Close() }

func (o *Fanout) decode(f *capture.Frame) {
	raw, err := o.decoder.Decode(f)
	if err != nil {
		// The sinks keep the last good frame.
		o.log.Debug("frame dropped", "err", err)
		if errors.Is(err, codec.ErrNoRoom) { // they are slow
			o.superseded.Add(1)
		} else {
			o.damaged.Add(1)
		}
		return
	}
	o.share(raw, Decoded)
	raw.Release()
}

// share gives each sink that takes such frames a reference of its own.
func (o *Fanout) share(f *capture.Frame, n Need) {
	for _, out := range o.outlets {
		if out.takes(n) && out.box.Put(f.Retain()) {
			out.superseded.Add(1)
		}
	}
}

// Stats says what became of frames that were received whole.
type Stats struct {
	Damaged    uint64 // not decodable
	Superseded uint64 // older than another when the decoder or the first sink was ready
}

// Stats returns the totals so far.
func (o *Fanout) Stats() Stats {
	s := Stats{Damaged: o.damaged.Load(), Superseded: o.superseded.Load()}
	if len(o.outlets) > 0 {
		s.Superseded += o.outlets[0].superseded.Load()
	}
	return s
}

// run keeps a sink open until it is done or there are no more frames.
func (out *outlet) run(closing <-chan struct{}, log *slog.Logger) {
	said := ""
	for {
		err := out.serve()
		if err == nil {
			return
		}
		if errors.Is(err, ErrDone) {
			out.done.Store(true)
			break
		}
		if err.Error() != said {
			said = err.Error()
			log.Warn(said, "sink", out.name)
		}
		select {
		case <-closing:
			return
		case <-time.After(reopen):
		}
	}
	for f := range out.box.Frames() {
		f.Release()
	}
}

// serve opens the sink and presents frames; nil means that there are no more.
func (out *outlet) serve() error {
	if out.sink == nil {
		s, err := out.open()
		if err != nil {
			return err
		}
		out.sink = s
	}
	s := out.sink
	out.sink = nil
	for f := range out.box.Frames() {
		if err := out.present(s, f); err != nil {
			return cmp.Or(err, s.Close())
		}
	}
	return s.Close()
}

func (out *outlet) present(s Sink, f *capture.Frame) error {
	defer f.Release()
	if err := s.Present(f.Retain()); err != nil {
		return err
	}
	if out.presented != nil {
		out.presented(f)
	}
	return nil
}
