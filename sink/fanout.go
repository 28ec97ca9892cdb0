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

const (
	// reopen is how long a sink that failed is left alone.
	reopen = time.Second
	// maxBlocks bounds the blocks of audio that wait for a sink: a second.
	maxBlocks = int(time.Second / capture.AudioPeriod)
)

// Decoder turns received frames into raw ones; codec.Decoder is one.
type Decoder interface {
	Decode(f *capture.Frame) (*capture.Frame, error)
	// Close ends a Decode that is running. It is called by any goroutine, and twice.
	Close()
}

// Options are the choices of a fan-out; the zero value works.
type Options struct {
	Decoder Decoder      // owned by the fan-out; nil means libjpeg-turbo
	Log     *slog.Logger // nil discards
	// Ended, if not nil, is called once for each output that has ended before Close,
	// with why (nil: its user ended it) and how many are left. It is called by any
	// goroutine, and must not wait.
	Ended func(o Output, err error, left int)
}

// Fanout hands each received frame, and the newest of them, decoded once, to its
// outputs, and each block of audio. The goroutine that calls Frame is never held up.
type Fanout struct {
	options Options
	decoder Decoder
	log     *slog.Logger
	outlets []*outlet // all added before Run

	received   *capture.Mailbox // to decode
	damaged    atomic.Uint64
	superseded atomic.Uint64 // not decoded, since a newer one was there
	unheard    atomic.Uint64 // blocks of audio that sinks were too slow for
	closing    chan struct{}
}

// outlet is an output with its mailbox.
type outlet struct {
	Output
	every      bool             // it takes Every
	listener   Listener         // nil: it takes no audio
	sink       Sink             // nil while it is closed
	box        *capture.Mailbox // what waits for the sink
	blocks     *capture.Queue   // audio that does
	done       atomic.Bool      // it wants no more frames
	superseded atomic.Uint64
}

func newOutlet(o Output) *outlet {
	out := &outlet{Output: o, every: o.Takes() == Every, box: capture.NewMailbox(), blocks: capture.NewQueue(maxBlocks)}
	out.listener, _ = o.(Listener)
	return out
}

// closeQueues has the sink closed once it was presented what waits.
func (out *outlet) closeQueues() {
	out.box.Close()
	out.blocks.Close()
}

// takesNow reports whether the output takes such frames.
func (out *outlet) takesNow(n Need) bool { return !out.done.Load() && out.Takes() == n }

// NewFanout returns a fan-out without outputs.
func NewFanout(o Options) *Fanout {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Decoder == nil {
		o.Decoder = codec.NewDecoder(&capture.Pool{}, codec.Limits{})
	}
	return &Fanout{
		options: o, decoder: o.Decoder, log: o.Log,
		received: capture.NewMailbox(), closing: make(chan struct{}),
	}
}

// Add opens outputs, in this order. All are added before Run, by one call: until
// then the number of those that are left is not known.
func (o *Fanout) Add(outputs ...Output) error {
	for _, output := range outputs {
		o.outlets = append(o.outlets, newOutlet(output))
	}
	for _, out := range o.outlets {
		s, err := out.Open()
		if err != nil {
			return err
		}
		out.sink = s
	}
	return nil
}

// Frame takes over the reference of a received frame or block of audio.
func (o *Fanout) Frame(f *capture.Frame) {
	if f.Format.IsAudio() {
		o.shareBlock(f)
		return
	}
	for _, out := range o.outlets {
		if taker, ok := out.Output.(ReceivedTaker); ok && !out.done.Load() {
			taker.TakeReceived(f.Retain())
		}
		if out.every && !out.done.Load() {
			o.presentEvery(out, f)
		}
	}
	o.shareFrame(f, Received)
	switch {
	case !o.neededNow(Decoded):
		f.Release()
	case o.received.Put(f):
		o.superseded.Add(1)
	}
}

// shareBlock gives each output that takes audio a reference of its own.
func (o *Fanout) shareBlock(f *capture.Frame) {
	defer f.Release()
	for _, out := range o.outlets {
		switch {
		case out.listener == nil || out.done.Load() || !out.listener.Listens():
		case out.every:
			o.presentEvery(out, f)
		case !out.blocks.Put(f.Retain()):
			o.unheard.Add(1)
		}
	}
}

// presentEvery presents a frame to an output of every frame, which an error ends: it
// has a queue of its own and has tried before.
func (o *Fanout) presentEvery(out *outlet, f *capture.Frame) {
	if err := out.presentFrame(out.sink, f.Retain()); err != nil {
		o.endOutlet(out, endCause(err))
	}
}

// End ends an output for good; err is why, or nil if its user ended it. It may be
// called by any goroutine.
func (o *Fanout) End(output Output, err error) {
	for _, out := range o.outlets {
		if out.Output == output {
			o.endOutlet(out, err)
		}
	}
}

func (o *Fanout) endOutlet(out *outlet, err error) {
	if out.done.Swap(true) {
		return
	}
	out.closeQueues()
	if o.options.Ended != nil {
		o.options.Ended(out.Output, err, o.Left())
	}
}

// Left returns how many outputs have not ended.
func (o *Fanout) Left() (left int) {
	for _, out := range o.outlets {
		if !out.done.Load() {
			left++
		}
	}
	return left
}

// HasEnded reports whether an output has ended for good.
func (o *Fanout) HasEnded(output Output) bool {
	return slices.ContainsFunc(o.outlets, func(out *outlet) bool { return out.Output == output && out.done.Load() })
}

// endCause returns why a sink is done, nil where that is no failure.
func endCause(err error) error {
	if err == ErrDone { // what wraps it is a failure
		return nil
	}
	return err
}

// neededNow reports whether any sink takes such frames.
func (o *Fanout) neededNow(n Need) bool {
	return slices.ContainsFunc(o.outlets, func(out *outlet) bool { return out.takesNow(n) })
}

// Run serves the outputs until Close, lets them present what they were handed
// before, and closes them.
func (o *Fanout) Run() {
	var sinks sync.WaitGroup
	for _, out := range o.outlets {
		if !out.every {
			sinks.Go(func() { o.serveOutlet(out) })
		}
	}
	for f := range o.received.Frames() {
		o.decodeFrame(f)
	}
	o.decoder.Close()
	for _, out := range o.outlets {
		out.closeQueues()
	}
	sinks.Wait()
	// A frame may wait whose sink had failed and was not reopened in time.
	for _, out := range o.outlets {
		out.box.Discard()
		out.blocks.Discard()
	}
}

// Close ends Run, and closes the outputs that take every frame: what others still do
// must not delay them. It returns the first error of those. Frame must not be called
// any more.
func (o *Fanout) Close() (err error) {
	o.received.Close()
	close(o.closing)
	for _, out := range o.outlets {
		if out.every && out.sink != nil {
			err = cmp.Or(err, out.sink.Close())
		}
	}
	return err
}

// Hurry ends decoding: whatever is being decoded, Run waits no longer for it. It may
// be called by any goroutine.
func (o *Fanout) Hurry() { o.decoder.Close() }

func (o *Fanout) decodeFrame(f *capture.Frame) {
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
	o.shareFrame(raw, Decoded)
	raw.Release()
}

// shareFrame gives each sink that takes such frames a reference of its own.
func (o *Fanout) shareFrame(f *capture.Frame, n Need) {
	for _, out := range o.outlets {
		if out.takesNow(n) && out.box.Put(f.Retain()) {
			out.superseded.Add(1)
		}
	}
}

// Stats counts what became of frames that were received whole.
type Stats struct {
	Damaged    uint64 // not decodable
	Superseded uint64 // older than another when the decoder or the first output was ready
	Unheard    uint64 // blocks of audio that an output was too slow for
}

// Stats returns the totals so far.
func (o *Fanout) Stats() Stats {
	s := Stats{Damaged: o.damaged.Load(), Superseded: o.superseded.Load(), Unheard: o.unheard.Load()}
	if len(o.outlets) > 0 {
		first := o.outlets[0]
		s.Superseded += first.superseded.Load()
		if c, ok := first.Output.(Superseder); ok {
			s.Superseded += c.Superseded()
		}
	}
	return s
}

// serveOutlet keeps an output open until it is done or there are no more frames.
func (o *Fanout) serveOutlet(out *outlet) {
	logged := ""
	for {
		err := out.presentAll()
		if err == nil {
			return
		}
		if errors.Is(err, ErrDone) {
			o.endOutlet(out, endCause(err))
			break
		}
		if err.Error() != logged {
			logged = err.Error()
			o.log.Warn(logged, "sink", out.Name())
		}
		select {
		case <-o.closing:
			return
		case <-time.After(reopen):
		}
	}
	// The output has ended and its queues are closed, but a frame may wait there.
	for f := range out.box.Frames() {
		f.Release()
	}
	out.blocks.Discard()
}

// presentAll opens the sink and presents frames; nil means that there are no more.
func (out *outlet) presentAll() error {
	if out.sink == nil {
		s, err := out.Open()
		if err != nil {
			return err
		}
		out.sink = s
		out.blocks.Discard() // audio must not come late
	}
	// The first sink was opened by Add, which reports its error to the user; later ones
	// are opened here.
	s := out.sink
	out.sink = nil
	frames, blocks := out.box.Frames(), out.blocks.Frames()
	for f := nextFrame(&frames, &blocks); f != nil; f = nextFrame(&frames, &blocks) {
		if err := out.presentFrame(s, f); err != nil {
			return cmp.Or(err, s.Close())
		}
	}
	return s.Close()
}

// nextFrame waits for a frame or a block of audio, nil once both channels are closed.
func nextFrame(frames, blocks *<-chan *capture.Frame) *capture.Frame {
	for *frames != nil || *blocks != nil {
		select {
		case f, ok := <-*frames:
			if ok {
				return f
			}
			*frames = nil
		case f, ok := <-*blocks:
			if ok {
				return f
			}
			*blocks = nil
		}
	}
	return nil
}

// presentFrame takes over the reference of a frame.
func (out *outlet) presentFrame(s Sink, f *capture.Frame) error {
	defer f.Release()
	if err := s.Present(f.Retain()); err != nil {
		return err
	}
	if l, ok := out.Output.(PresentedListener); ok && !f.Format.IsAudio() {
		l.Presented(f)
	}
	return nil
}

// Notice has the outputs show a notice, or with the zero value frames again.
func (o *Fanout) Notice(n Notice) {
	for _, out := range o.outlets {
		if l, ok := out.Output.(Noticer); ok {
			l.Notice(n)
		}
	}
}

// ModeChanged passes on which camera the next frames come from.
func (o *Fanout) ModeChanged(camera string, mode capture.Mode) {
	for _, out := range o.outlets {
		if l, ok := out.Output.(ModeListener); ok {
			l.ModeChanged(camera, mode)
		}
	}
}

// ControlsChanged passes on the controls of the camera.
func (o *Fanout) ControlsChanged(controls []capture.Control) {
	for _, out := range o.outlets {
		if l, ok := out.Output.(ControlsListener); ok {
			l.ControlsChanged(controls)
		}
	}
}

// Report returns what became of frames in the outputs.
func (o *Fanout) Report() (all []Outcome) {
	for _, out := range o.outlets {
		if r, ok := out.Output.(Reporter); ok {
			all = append(all, r.Report()...)
		}
	}
	return all
}
