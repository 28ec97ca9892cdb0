package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/ratelimit"
	"github.com/tbcam/tbcam/transport/wire"
)

// How often a sender announces modes: half as often as a viewer bears, with more for each
// request, which may cause them.
const (
	ownModeBurst  = modeBurst / 2
	ownModeEvery  = 2 * modeEvery
	ownModeRefund = requestRefund / 2
)

// How often it sends blocks of audio: a little less often than a viewer bears, too.
const (
	ownBlockBurst = blockBurst / 2
	ownBlockEvery = capture.AudioPeriod * 97 / 100
)

// Unit is a frame ready for the wire, with what describes it.
type Unit struct {
	Frame *capture.Frame
	Info  *Mode        // the same pointer as long as nothing in it changes
	Lost  capture.Lost // totals of the Producer when it was taken
}

// Producer makes the frames of one stream. Its methods are called by different
// goroutines of a session; none but Next and SetControl may wait for a camera.
type Producer interface {
	// Start requests frames, or other ones; Stop ends that. A Mode and a
	// Status that answer it carry the number of the request.
	Start(number uint32, want capture.Want)
	Stop()
	// Next waits for the newest frame, which the caller then owns. It is
	// called only when that can be sent immediately. It returns io.EOF after the
	// last one, which ends the Sender once what the other streams had ready is sent, and
	// another error when the cameras cannot be used.
	Next(ctx context.Context) (Unit, error)
	// Lost counts the frames that were lost since the producer was made. It grows also
	// while Next returns none.
	Lost() capture.Lost
	// SetControl sets a control of the camera for the viewer, and returns what was
	// granted, which was reported before. Its error is ErrNoRemoteControl where a viewer
	// sets none.
	SetControl(s capture.Setting) (capture.Setting, error)
}

// NoControls is the SetControl of a Producer without remote control, for embedding.
type NoControls struct{}

// SetControl implements Producer.
func (NoControls) SetControl(capture.Setting) (capture.Setting, error) {
	return capture.Setting{}, ErrNoRemoteControl
}

// SenderStream is a stream of a Sender in all its sessions: what its Producer reports
// goes through it.
type SenderStream struct {
	sender   *Sender
	number   int
	producer Producer
	status   atomic.Pointer[Status]
	controls atomic.Pointer[Controls]
	modes    ratelimit.Limiter        // of all sessions: each begins with a mode
	blocks   ratelimit.Limiter        // of audio, likewise
	current  atomic.Pointer[outgoing] // the stream in the present session, nil if not opened there
	window   atomic.Uint64            // frames that the viewer granted first in that session
}

// Number returns the number that the viewer has chosen for the stream.
func (s *SenderStream) Number() int { return s.number }

// Window returns how many frames the viewer lets be on their way in this session, 0
// before it granted any: one that takes every frame grants more than a live view needs.
func (s *SenderStream) Window() int { return int(min(s.window.Load(), maxWindow)) }

// AcceptsRaw reports whether the viewer has no use for JPEGs: it takes raw frames where the
// sender has the choice.
func (s *SenderStream) AcceptsRaw() bool {
	o := s.current.Load()
	return o != nil && o.raw.Load()
}

// LineRate returns how many bytes per second the line carries at least for this stream of
// video, while others have their share of it; 0 before that is known in this session.
func (s *SenderStream) LineRate() float64 {
	o := s.current.Load()
	if o == nil {
		return 0
	}
	return o.rate.estimate() / float64(max(o.session.countVideoStarted(), 1))
}

// Report sends the stream's state to the viewer, now and in each session in which
// the stream is started. One that was reported last is not sent again, but with the
// heartbeat.
func (s *SenderStream) Report(status Status) {
	status = status.boundToRecord()
	last := s.status.Swap(&status)
	if o := s.current.Load(); o != nil && (last == nil || *last != status) {
		o.queueRecord(wire.Status)
	}
}

// ReportControls reports the controls of the stream's camera to the viewer, now and in
// each session that uses the stream. The list is not changed any more.
func (s *SenderStream) ReportControls(c Controls) {
	c = c.boundToRecord()
	s.controls.Store(&c)
	if o := s.current.Load(); o != nil {
		o.remote.notifyChanged(o)
	}
}

// openStream returns the stream with a number, which it opens the first time.
func (s *Sender) openStream(number int) *SenderStream {
	if stream := s.streams[number].Load(); stream != nil {
		return stream
	}
	stream := &SenderStream{
		sender: s, number: number,
		modes:  ratelimit.Limiter{Burst: ownModeBurst, Every: ownModeEvery},
		blocks: ratelimit.Limiter{Burst: ownBlockBurst, Every: ownBlockEvery},
	}
	stream.producer = s.Catalogue.Open(stream)
	s.streams[number].Store(stream)
	return stream
}

// outgoing is a stream of a sender in one session.
type outgoing struct {
	*SenderStream
	session *senderSession
	due     dueRecords

	credit  atomic.Uint64 // frames that may be sent in all
	granted chan struct{} // the credit has grown

	request request                    // of the reader: the last Start or Stop; number 0 before
	started atomic.Bool                // it was a Start
	raw     atomic.Bool                // of the last Start: the viewer has no use for JPEGs
	wanted  atomic.Pointer[request]    // the newest request, that the producer may not have got yet
	wants   chan struct{}              // there is one
	base    atomic.Pointer[lostTotals] // of the producer at the first Start, nil before
	remote  remote
	rate    lineRate

	// From pumpUnits to the writer and back, one at a time.
	unit    Unit      // while the scheduler has the stream
	written chan bool // it was, or it was dropped

	// Of the writer.
	sent   uint64      // frames that were completely written
	fast   uint32      // frames that were dropped, since the viewer would not accept them
	mode   Mode        // the last one that was announced
	info   *Mode       // what that was made from; nil: it holds no more
	heard  time.Time   // of the last block of audio
	forget atomic.Bool // a Stop came: no mode holds any more
	offset int         // bytes of the unit that were written
	begun  bool        // the unit's First record was written
}

// findOutgoing opens a stream in this session, if it is not open. Only the reader may call
// it.
func (ss *senderSession) findOutgoing(h wire.Header) *outgoing {
	slot := &ss.streams[h.Stream]
	if o := slot.Load(); o != nil {
		return o
	}
	o := &outgoing{
		SenderStream: ss.sender.openStream(int(h.Stream)), session: ss,
		granted: make(chan struct{}, 1), wants: make(chan struct{}, 1), written: make(chan bool, 1),
		remote: remote{newSet: make(chan struct{}, 1)},
	}
	o.remote.number.Store(1)
	slot.Store(o)
	o.current.Store(o)
	ss.startPart(o.pumpUnits)
	ss.startPart(o.forwardRequests)
	ss.startPart(o.applySettings)
	return o
}

// closeStreams ends the streams' part of a session that has ended.
func (ss *senderSession) closeStreams() {
	ss.schedule.releaseAll()
	for i := range ss.streams {
		if o := ss.streams[i].Load(); o != nil {
			o.current.Store(nil)
			o.producer.Stop()
		}
	}
}

// countVideoStarted returns how many streams of video are started. One of audio needs a
// thousandth of the line.
func (ss *senderSession) countVideoStarted() (n int) {
	for i := range ss.streams {
		o := ss.streams[i].Load()
		if o == nil || !o.started.Load() {
			continue
		}
		if r := o.wanted.Load(); r != nil && r.Kind == capture.Video {
			n++
		}
	}
	return n
}

// framesSent returns how many frames were written in all.
func (ss *senderSession) framesSent() (n uint64) {
	for i := range ss.streams {
		if o := ss.streams[i].Load(); o != nil {
			n += o.sent
		}
	}
	return n
}

func (o *outgoing) streamID() uint16 { return uint16(o.number) }

// queueRecord makes a record due. It never blocks.
func (o *outgoing) queueRecord(t wire.Type) {
	o.due.bits.Or(1 << t)
	notifyOne(o.session.wake)
}

// repeatState queues what the viewer must know.
func (o *outgoing) repeatState() {
	if o.started.Load() {
		o.queueRecord(wire.Mode)
		o.queueRecord(wire.Status)
	}
}

// handleRequest takes note of a Start or a Stop, or of its repetition.
func (ss *senderSession) handleRequest(h wire.Header, payload []byte) error {
	r, err := parseRequest(h, payload)
	if err != nil {
		return err
	}
	r.stop = h.Type == wire.Stop
	if r.stop && ss.streams[h.Stream].Load() == nil {
		return ss.checkOpened(h)
	}
	o := ss.findOutgoing(h)
	switch {
	case r == o.request:
		return nil
	case r.Number <= o.request.Number:
		return fmt.Errorf("read %v: number %d in stream %d was another request", h.Type, r.Number, h.Stream)
	}
	o.request = r
	if !r.stop {
		o.raw.Store(r.Raw)
	}
	o.started.Store(!r.stop)
	o.forget.Store(r.stop || o.forget.Load())
	o.modes.Refund(ownModeRefund)
	o.wanted.Store(&r)
	notifyOne(o.wants)
	notifyOne(o.granted) // what was granted before a Stop holds again
	return nil
}

// checkOpened returns the error of a record for a stream that is not open, or not
// started. Where records of the viewer are missing, its Start may be one of them.
func (ss *senderSession) checkOpened(h wire.Header) error {
	if ss.missed {
		return nil
	}
	return fmt.Errorf("it sends %v in stream %d, which it did not start", h.Type, h.Stream)
}

// forwardRequests passes the viewer's requests to the producer: of those that come
// meanwhile, only the newest.
func (o *outgoing) forwardRequests(session context.Context) error {
	for {
		select {
		case <-o.wants:
		case <-session.Done():
			return nil
		}
		r := o.wanted.Load()
		if r.stop {
			o.producer.Stop()
			continue
		}
		if o.base.Load() == nil {
			base := totalsOf(o.producer.Lost())
			o.base.Store(&base)
		}
		o.producer.Start(r.Number, r.Want)
	}
}

func (ss *senderSession) handleCredit(h wire.Header, payload []byte) error {
	total, err := wire.ParseCredit(payload)
	if err != nil {
		return fmt.Errorf("read credit: %w", err)
	}
	o := ss.streams[h.Stream].Load()
	if o == nil || !o.started.Load() {
		return ss.checkOpened(h)
	}
	if o.credit.Load() == 0 {
		o.window.Store(total)
	}
	o.credit.Store(max(total, o.credit.Load()))
	o.rate.noteCarried(max(total, o.window.Load())-o.window.Load(), time.Now())
	notifyOne(o.granted)
	return nil
}

// pumpUnits hands the newest frame to the scheduler whenever the viewer has room for
// one and the one before is written, so that what cannot be sent grows old in the
// producer, where a newer one takes its place.
func (o *outgoing) pumpUnits(session context.Context) error {
	ctx, cancel := context.WithCancel(o.session.running)
	defer cancel()
	defer context.AfterFunc(session, cancel)()
	for taken := uint64(0); ; {
		unit, err := o.takeUnit(ctx, taken)
		if ctx.Err() != nil && err != nil {
			o.session.noteEnd(ctx, err)
			return nil // leaveWhenDone sends the Bye
		}
		if err != nil {
			return o.session.endOfUnits(session, err)
		}
		if !o.session.schedule.addUnit(o, unit) {
			unit.Frame.Release()
			return nil
		}
		notifyOne(o.session.wake)
		select {
		case written := <-o.written:
			if written {
				taken++
			}
		case <-session.Done():
			return nil
		}
	}
}

// takeUnit waits for the viewer to have room, and then for the newest frame. Where the
// room came together with the session's end, the producer is still asked: it may have
// ended, too.
func (o *outgoing) takeUnit(ctx context.Context, taken uint64) (Unit, error) {
	for !o.hasRoom(taken) {
		select {
		case <-o.granted:
		case <-ctx.Done():
			if !o.hasRoom(taken) {
				return Unit{}, ctx.Err()
			}
		}
	}
	return o.producer.Next(ctx)
}

// hasRoom reports whether the viewer takes one more frame.
func (o *outgoing) hasRoom(taken uint64) bool { return o.credit.Load() > taken && o.started.Load() }

// noteEnd notes the end of a producer that came together with the session's: else
// the sender would offer another session, in which there is nothing to send.
func (ss *senderSession) noteEnd(ctx context.Context, err error) {
	if !errors.Is(err, ctx.Err()) {
		ss.ended.CompareAndSwap(nil, &err)
	}
}

// endOfUnits ends the session after a producer. What the other ones had ready is sent
// first.
func (ss *senderSession) endOfUnits(session context.Context, err error) error {
	ss.ended.CompareAndSwap(nil, &err)
	reason := "all frames were sent"
	if !errors.Is(err, io.EOF) {
		reason = err.Error()
	}
	ss.schedule.closeQueue()
	select {
	case <-ss.schedule.drained:
		return ss.sendBye(session, reason, drainWait)
	case <-session.Done():
		return nil
	}
}

// writeControl writes a control record of the stream.
func (o *outgoing) writeControl(t wire.Type) error {
	switch t {
	case wire.Mode:
		if o.forget.Swap(false) {
			o.info = nil
		}
		if o.info != nil {
			return o.writeMessage(t, encodeMessage(o.mode))
		}
	case wire.Status:
		if status := o.status.Load(); status != nil {
			return o.writeMessage(t, encodeMessage(statusMessage{*status, o.lostTotals(o.producer.Lost())}))
		}
	case wire.Controls:
		return o.writeControls()
	}
	return nil
}

func (o *outgoing) writeMessage(t wire.Type, payload []byte) error {
	return o.session.writeRecord(wire.Header{Type: t, Stream: o.streamID()}, payload)
}

// lostTotals returns what was lost since the session's first Start; lost are the
// producer's totals. Only the writer may call it.
func (o *outgoing) lostTotals(lost capture.Lost) lostTotals {
	base := o.base.Load()
	if base == nil {
		return lostTotals{}
	}
	totals := totalsOf(lost).countSince(*base)
	totals.Superseded += o.fast
	return totals
}

// writePiece writes one record of the stream's frame, of the largest size; the first
// one after its mode, if that is new.
func (o *outgoing) writePiece() error {
	h := wire.Header{Type: wire.Frame, Stream: o.streamID()}
	var head []byte
	if !o.begun {
		wanted, err := o.writeMode()
		if err != nil {
			return err
		}
		if !wanted {
			o.finishUnit(false)
			return nil
		}
		if at := &o.unit.Frame.At[capture.Sent]; at.IsZero() { // else others may hold the frame, too
			*at = time.Now()
		}
		o.rate.beginFrame(len(o.unit.Frame.Data), time.Now())
		meta := o.frameHeader()
		head, h.Flags, o.begun = meta.Append(o.session.payload[:0]), wire.First, true
	}
	data := o.unit.Frame.Data[o.offset:]
	n := min(len(data), o.session.maxPiece()-len(head))
	if n == len(data) {
		h.Flags |= wire.Last
	}
	if err := o.session.writeRecord(h, head, data[:n]); err != nil {
		return err
	}
	if o.offset += n; n == len(data) {
		o.finishUnit(true)
	}
	return nil
}

// finishUnit ends a unit that was written or dropped.
func (o *outgoing) finishUnit(written bool) {
	o.session.schedule.removeStream(o)
	f := o.unit.Frame
	o.unit, o.offset, o.begun = Unit{}, 0, false
	if written {
		o.sent++
		if sent := o.sender.Sent; sent != nil {
			sent(o.number, f)
		}
	}
	f.Release()
	o.written <- written
}

// writeMode announces the mode of the unit if it is new, and reports whether the unit
// is to be written: not after a Stop, nor what the viewer does not accept.
func (o *outgoing) writeMode() (wanted bool, err error) {
	if !o.started.Load() {
		return false, nil
	}
	if o.forget.Swap(false) {
		o.info = nil
	}
	if f := o.unit.Frame; f.Format.IsAudio() && !o.mayFollow(f) {
		o.fast++
		return false, nil
	}
	if o.unit.Info == o.info {
		return true, nil
	}
	if o.modes.Take() > 0 {
		o.fast++
		return false, nil
	}
	number := o.mode.Number + 1
	o.info, o.mode = o.unit.Info, *o.unit.Info
	o.mode.Number = number
	return true, o.writeMessage(wire.Mode, encodeMessage(o.mode))
}

// mayFollow reports whether a block of audio was captured later than the one before, which
// may be of another microphone, and does not come too soon.
func (o *outgoing) mayFollow(f *capture.Frame) bool {
	if !f.Time.After(o.heard) || o.blocks.Take() > 0 {
		return false
	}
	o.heard = f.Time
	return true
}

// microsBetween returns the microseconds between two times, at least 1, or 0 where one is
// not known.
func microsBetween(from, to time.Time) uint32 {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return uint32(min(max(to.Sub(from).Microseconds(), 1), math.MaxUint32))
}

// frameHeader describes the unit's frame.
func (o *outgoing) frameHeader() wire.FrameHeader {
	f, skew := o.unit.Frame, o.sender.clockSkew()
	at, lost := f.At, o.lostTotals(o.unit.Lost)
	nanos := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return o.session.line.nanosOf(t) + skew
	}
	return wire.FrameHeader{
		Index:          o.sent,
		Sequence:       f.Sequence,
		Mode:           o.mode.Number,
		Size:           uint32(len(f.Data)),
		Encoding:       microsBetween(at[capture.Taken], at[capture.Encoded]),
		Captured:       o.session.line.nanosOf(f.Time),
		Dequeued:       nanos(at[capture.Dequeued]),
		Encoded:        nanos(at[capture.Encoded]),
		Sent:           nanos(at[capture.Sent]),
		LostDriver:     lost.Driver,
		LostDamaged:    lost.Damaged,
		LostSuperseded: lost.Superseded,
	}
}
