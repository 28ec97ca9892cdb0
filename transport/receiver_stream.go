package transport

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/ratelimit"
	"github.com/tbcam/tbcam/transport/wire"
)

// Consumer takes what comes in one stream of a Receiver. The methods of all consumers
// are called by one goroutine, which reads nothing meanwhile: they must not wait.
type Consumer interface {
	Connected(peer Peer)
	// Mode describes the frames that follow.
	Mode(mode Mode)
	// Frame takes over the reference. lost are the sender's totals of the session.
	Frame(f *capture.Frame, lost capture.Lost)
	// Lost is called with the sender's totals when they have grown without a frame.
	Lost(lost capture.Lost)
	Status(status Status)
	// ControlsChanged is called with what ReceiverStream.Controls returns whenever that
	// is new.
	ControlsChanged(controls Controls)
	Disconnected(err error)
}

// NopConsumer is a Consumer that releases every frame and ignores all else. Embedded,
// it leaves only the methods that matter to be written.
type NopConsumer struct{}

// Connected implements Consumer.
func (NopConsumer) Connected(Peer) {}

// Mode implements Consumer.
func (NopConsumer) Mode(Mode) {}

// Frame implements Consumer.
func (NopConsumer) Frame(f *capture.Frame, _ capture.Lost) { f.Release() }

// Lost implements Consumer.
func (NopConsumer) Lost(capture.Lost) {}

// Status implements Consumer.
func (NopConsumer) Status(Status) {}

// ControlsChanged implements Consumer.
func (NopConsumer) ControlsChanged(Controls) {}

// Disconnected implements Consumer.
func (NopConsumer) Disconnected(error) {}

// Policy is how a stream flows.
type Policy struct {
	// Kind is what flows, of whichever device.
	Kind capture.Kind
	// Window is how many frames may be on their way, at most 64; 0 stands for 2: one that
	// is written while the one before it is read. Of audio, it stands for 32: every block
	// counts, and one whose credit was lost is replaced with the next Ping only.
	Window int
}

const (
	defaultWindow      = 2
	defaultAudioWindow = 32
	maxWindow          = 64
)

// How many blocks of audio may come in a row, and how often then: a little faster than they
// are captured, since clocks differ.
const (
	blockBurst = 200
	blockEvery = capture.AudioPeriod * 19 / 20
)

// How often a sender may announce a mode and a status in a stream, and how many more for
// each request, which may cause them.
const (
	modeBurst, modeEvery     = 32, time.Second
	statusBurst, statusEvery = 64, time.Second / 4
	requestRefund            = 4
)

// ErrTooManyStreams is returned when all MaxStreams are open.
var ErrTooManyStreams = fmt.Errorf("no more than %d streams can be open", MaxStreams)

// StreamStats are totals of a stream since it was opened.
type StreamStats struct {
	Frames uint64 // that were received whole
	Bytes  uint64 // of these
	Lost   uint64 // frames that were sent but not received whole
}

// ReceiverStream is a stream that a Receiver asks of every sender.
type ReceiverStream struct {
	receiver *Receiver
	kind     capture.Kind
	number   int
	consumer Consumer
	window   atomic.Uint64

	// Under receiver.mu.
	want     *capture.Want // nil: no frames
	raw      bool          // no output has a use for JPEGs
	request  uint32        // number of the last Start or Stop, 0 before
	closed   bool
	stats    StreamStats
	controls Controls         // of the present session
	pending  []pendingSetting // by number

	// Of all sessions: each may begin with a mode and a status.
	modes, statuses ratelimit.Limiter
	blocks          ratelimit.Limiter // of audio
}

// Open opens a stream, with the lowest number that is free. Its consumer is connected to
// the session that there is, and to all to come, until Close.
func (r *Receiver) Open(c Consumer, p Policy) (*ReceiverStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number := 1; number <= MaxStreams; number++ {
		if place := &r.streams[number]; *place == (slot{}) {
			place.stream = newReceiverStream(r, number, c, p.Kind)
			place.stream.SetWindow(p.Window)
			if r.current != nil {
				r.current.queueRecord(wire.Ping) // its Pong has the stream met
			}
			return place.stream, nil
		}
	}
	return nil, ErrTooManyStreams
}

func newReceiverStream(r *Receiver, number int, c Consumer, kind capture.Kind) *ReceiverStream {
	return &ReceiverStream{
		receiver: r, number: number, consumer: c, kind: kind,
		modes:    ratelimit.Limiter{Burst: modeBurst, Every: modeEvery},
		statuses: ratelimit.Limiter{Burst: statusBurst, Every: statusEvery},
		blocks:   ratelimit.Limiter{Burst: blockBurst, Every: blockEvery},
	}
}

// SetWindow changes Policy.Window for the sessions to come: it is called by
// Consumer.Connected at the latest.
func (s *ReceiverStream) SetWindow(frames int) { s.window.Store(windowOf(frames, s.kind)) }

// windowOf returns a window within its bounds.
func windowOf(frames int, kind capture.Kind) uint64 {
	switch {
	case frames > 0:
		return uint64(min(frames, maxWindow))
	case kind == capture.Audio:
		return defaultAudioWindow
	}
	return defaultWindow
}

// Number returns the number of the stream in the protocol.
func (s *ReceiverStream) Number() int { return s.number }

// Start requests frames, now and in every session to come, until Stop. The
// want is of the stream's kind, and must pass its Check. It returns the number of the
// request, which a Mode and a Status that answer it carry.
func (s *ReceiverStream) Start(want capture.Want) (request uint32) {
	want.Kind = s.kind
	return s.sendRequest(&want)
}

// Stop requests no more frames; the session goes on.
func (s *ReceiverStream) Stop() { s.sendRequest(nil) }

// Keep has another want asked for in every session to come, but does not ask for it
// now: what ran before a Start that was Refused goes on.
func (s *ReceiverStream) Keep(want capture.Want) {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	if s.want != nil {
		s.want = &want
	}
}

// SetRaw has the sender choose between raw frames and JPEGs where it has the choice, or has
// it send JPEGs: that is what it does before. The camera goes on. It returns the number of
// the last request, as Start does.
func (s *ReceiverStream) SetRaw(raw bool) (request uint32) {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	if s.raw != raw && !s.closed {
		s.raw = raw
		if s.want != nil {
			s.queueRequest()
		}
	}
	return s.request
}

func (s *ReceiverStream) sendRequest(want *capture.Want) (request uint32) {
	r := s.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.closed {
		s.want = want
		s.queueRequest()
	}
	return s.request
}

// queueRequest makes what is wanted a request with a number of its own. The caller holds
// the receiver's mu.
func (s *ReceiverStream) queueRequest() {
	s.receiver.request++
	s.request = s.receiver.request
	s.modes.Refund(requestRefund)
	s.statuses.Refund(requestRefund)
	s.queueRecord(wire.Start)
}

// Stats returns the totals so far.
func (s *ReceiverStream) Stats() StreamStats {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	return s.stats
}

// Close ends the stream. The consumer is not called any more, but for a call that has
// begun.
func (s *ReceiverStream) Close() {
	r := s.receiver
	r.mu.Lock()
	if !s.closed {
		s.closed = true
		slot := &r.streams[s.number]
		slot.stream = nil
		if r.current != nil {
			r.request++
			slot.leaving = r.request
			s.queueRecord(wire.Start)
		}
	}
	r.mu.Unlock()
	s.refuseSettings(ErrStreamClosed)
}

func (s *ReceiverStream) isClosed() bool {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	return s.closed
}

// queueRecord makes a record of the stream due, if there is a session. The caller holds the
// receiver's mu.
func (s *ReceiverStream) queueRecord(t wire.Type) {
	if rs := s.receiver.current; rs != nil {
		rs.streams[s.number].queueRecord(t)
	}
}

// incoming is a number of a stream in one session.
type incoming struct {
	session *receiverSession
	id      uint16
	due     dueRecords
	opened  atomic.Bool   // a Start or a Set was written
	granted atomic.Uint64 // frames that may be sent in all
	have    atomic.Uint32 // number of the last Controls
	left    int64         // when the Stop of a stream that was closed was written; under receiver.mu

	// Of the writer: the last request that was written.
	request uint32
	started bool // it was a Start
	message []byte

	// Of the reader.
	user    *ReceiverStream // whose consumer is connected, nil if closed since
	status  Status
	lost    capture.Lost // the sender's totals
	before  capture.Lost // of these, what the streams before had there
	mode    Mode
	heard   int64            // when the last block of audio was captured, on the sender's clock
	index   uint64           // of the next frame
	meta    wire.FrameHeader // of partial
	partial *capture.Frame
	filled  int // bytes of partial that were received
}

// queueRecord makes a record due. It never blocks.
func (in *incoming) queueRecord(t wire.Type) {
	in.due.bits.Or(1 << t)
	notifyOne(in.session.wake)
}

// repeatState makes due what the sender must know.
func (in *incoming) repeatState() {
	in.due.bits.Or(1<<wire.Start | 1<<wire.Credit | 1<<wire.Set)
}

// writeControl writes a control record of the stream.
func (in *incoming) writeControl(t wire.Type) error {
	switch t {
	case wire.Start:
		return in.writeRequest()
	case wire.Credit:
		if in.started {
			return in.session.writeRecord(wire.Header{Type: t, Stream: in.id}, wire.AppendCredit(in.session.payload[:0], in.granted.Load()))
		}
	case wire.Set:
		return in.writeSet()
	}
	return nil
}

// writeRequest writes Start or Stop, whichever the user asked for last.
func (in *incoming) writeRequest() error {
	if !in.takeRequest() {
		return nil
	}
	t := wire.Stop
	if in.started {
		t = wire.Start
	}
	return in.session.writeRecord(wire.Header{Type: t, Stream: in.id}, in.message)
}

// takeRequest brings what is written to the newest request, and reports whether there
// is one. A repetition is what was written before, whatever Keep has changed since. The
// Stop of a stream that the sender does not know is none.
func (in *incoming) takeRequest() bool {
	r := in.session.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	place := &r.streams[in.id]
	message, start := request{Number: place.leaving}, false
	if s := place.stream; s != nil {
		message.Number = s.request
		if s.want != nil && in.session.serves(s.kind) {
			message.Want, message.Raw, start = *s.want, s.raw, true
		}
	}
	if !start && !in.opened.Load() {
		place.leaving = 0
		return false
	}
	if message.Number == 0 || message.Number == in.request {
		return message.Number != 0
	}
	in.request, in.started, in.message = message.Number, start, encodeMessage(message)
	in.opened.Store(true)
	if place.leaving != 0 {
		in.left = in.session.monotonicNow()
	}
	return true
}

// handleRecord acts on a record of the stream.
func (in *incoming) handleRecord(h wire.Header, payload []byte) error {
	if !in.opened.Load() {
		return fmt.Errorf("it sends %v: %w", h.Type, in.checkOpened())
	}
	in.reportSession()
	switch h.Type {
	case wire.Mode:
		return in.handleMode(h, payload)
	case wire.Frame:
		return in.handlePiece(h, payload)
	case wire.Status:
		return in.handleStatus(h, payload)
	case wire.Controls:
		return in.handleControls(h, payload)
	}
	return nil
}

// serves reports whether the sender knows streams of a kind.
func (rs *receiverSession) serves(kind capture.Kind) bool { return kind == capture.Video || rs.audible }

func (in *incoming) checkOpened() error {
	return fmt.Errorf("stream %d was not started", in.id)
}

// reportSession connects the consumer of a stream that was opened since to the session, and
// forgets one that was closed.
func (in *incoming) reportSession() {
	r := in.session.receiver
	r.mu.Lock()
	user := r.streams[in.id].stream
	r.mu.Unlock()
	if user == in.user {
		return
	}
	in.dropPartial()
	if in.user = user; user == nil {
		return
	}
	in.mode, in.status, in.before = Mode{}, Status{}, in.lost
	in.have.Store(0)
	if !in.session.controllable { // what is set from now on is refused by SetControl
		user.refuseSettings(ErrNoRemoteControl)
	}
	user.consumer.Connected(*in.session.peer)
	if !in.session.serves(user.kind) {
		user.consumer.Status(Status{State: Failed, Text: "the sender has no audio", Cause: NoCamera})
	}
	in.grantCredit(in.index)
}

func (in *incoming) handleMode(h wire.Header, payload []byte) error {
	mode, err := parseMode(h, payload)
	if err != nil || in.user == nil || mode.Number == in.mode.Number {
		return err
	}
	if in.user.modes.Take() > 0 {
		return errors.New("it changes its mode too often")
	}
	if kindOf(mode.Format) != in.user.kind {
		return fmt.Errorf("it sends %v, which was not asked for", mode.Format)
	}
	in.mode = mode
	in.user.consumer.Mode(mode)
	return nil
}

func (in *incoming) handleStatus(h wire.Header, payload []byte) error {
	message, err := parseStatus(h, payload)
	if err != nil || in.user == nil {
		return err
	}
	if message.Status != in.status {
		if in.user.statuses.Take() > 0 {
			return errors.New("it changes its status too often")
		}
		in.status = message.Status
		in.user.consumer.Status(message.Status)
	}
	before := in.lost
	if message.Lost.advanceTo(&in.lost); in.lost != before {
		in.user.consumer.Lost(in.lost.Since(in.before))
	}
	return nil
}

// handlePiece adds a record to the frame that is being received. Without one it is
// part of a frame that was given up.
func (in *incoming) handlePiece(h wire.Header, payload []byte) error {
	if h.Flags&wire.First != 0 {
		in.dropPartial()
		rest, err := in.beginFrame(payload)
		if err != nil {
			return fmt.Errorf("read frame: %w", err)
		}
		payload = rest
	}
	if in.partial == nil {
		return nil
	}
	reader := in.session.reader
	rest := reader.Rest()
	if len(payload)+rest > len(in.partial.Data)-in.filled {
		return fmt.Errorf("read frame: it has more than the %d bytes it should have", len(in.partial.Data))
	}
	in.filled += copy(in.partial.Data[in.filled:], payload) // nothing where it was opened in its place
	n := reader.ReadRest(in.partial.Data[in.filled : in.filled+rest])
	in.filled += n
	if h.Flags&wire.Last != 0 && n == rest {
		return in.completeFrame()
	}
	return nil
}

// placeOf returns the place of the next n bytes of the frame that is being received, nil if it
// has none for so many.
func (in *incoming) placeOf(n int) []byte {
	if in.partial == nil || n > len(in.partial.Data)-in.filled {
		return nil
	}
	return in.partial.Data[in.filled:in.filled]
}

// beginFrame reads the header of a frame, makes room for its data, and
// returns the first bytes of that. A frame whose Mode was lost is passed over:
// the Mode comes again with the next heartbeat.
func (in *incoming) beginFrame(payload []byte) ([]byte, error) {
	meta, rest, err := wire.ParseFrameHeader(payload)
	if err != nil {
		return nil, err
	}
	if meta.Index < in.index || meta.Index >= in.granted.Load() {
		return nil, fmt.Errorf("its index is %d, not one of %d to %d", meta.Index, in.index, in.granted.Load()-1)
	}
	if err := in.advanceTo(meta.Index); err != nil || in.user == nil || in.mode.Number == 0 || meta.Mode != in.mode.Number {
		return nil, err
	}
	if err := checkSize(in.mode.Format, int(meta.Size)); err != nil {
		return nil, err
	}
	pool := in.session.receiver.Pool
	if !pool.Room(int(meta.Size)) { // lost, as those of which a part is
		return nil, nil
	}
	in.meta, in.filled = meta, 0
	in.partial = pool.Get(int(meta.Size))
	in.partial.Format, in.partial.Sequence = in.mode.Format, meta.Sequence
	return rest, nil
}

// checkSize bounds the memory that a sender can ask for.
func checkSize(format capture.Format, size int) error {
	if raw := format.Size(); raw != 0 && size != raw {
		return fmt.Errorf("it has %d bytes, a %v has %d", size, format, raw)
	}
	// No JPEG worth having is larger than its pixels in 4:4:4, plus headers.
	limit := min(MaxFrame, 3*format.Width*format.Height+wire.MaxRecord)
	if size == 0 || size > limit {
		return fmt.Errorf("it has %d bytes, a %v has 1 to %d", size, format, limit)
	}
	return nil
}

// completeFrame hands the frame over and gives its credit back.
func (in *incoming) completeFrame() error {
	f, meta, rs := in.partial, in.meta, in.session
	if in.filled != len(f.Data) {
		return fmt.Errorf("read frame: it has %d bytes of %d", in.filled, len(f.Data))
	}
	captured, err := rs.times.captureTime(meta.Captured, time.Now())
	if err == nil && f.Format.IsAudio() {
		err = in.checkBlock(meta.Captured)
	}
	if err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	in.partial = nil
	f.Time = captured
	f.At = [capture.NumStages]time.Time{
		capture.Captured: rs.clock.localTime(meta.Captured),
		capture.Dequeued: rs.clock.localTime(meta.Dequeued),
		capture.Taken:    rs.clock.localTime(meta.Taken()),
		capture.Encoded:  rs.clock.localTime(meta.Encoded),
		capture.Sent:     rs.clock.localTime(meta.Sent),
		capture.Received: time.Now(),
	}
	in.user.countFrame(len(f.Data))
	lostTotals{meta.LostDriver, meta.LostDamaged, meta.LostSuperseded}.advanceTo(&in.lost)
	in.user.consumer.Frame(f, in.lost.Since(in.before))
	in.grantCredit(meta.Index + 1)
	return nil
}

// checkBlock refuses blocks of audio that come faster than they can be captured, or were
// not captured after those before: else a sender could have a recording grow as it likes.
func (in *incoming) checkBlock(captured int64) error {
	if captured <= in.heard {
		return errors.New("the block of audio was not captured after the one before")
	}
	in.heard = captured
	if in.user.blocks.Take() > 0 {
		return errors.New("blocks of audio come too fast")
	}
	return nil
}

// countFrame adds a frame to the totals.
func (s *ReceiverStream) countFrame(bytes int) {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	s.stats.Frames++
	s.stats.Bytes += uint64(bytes)
}

func (in *incoming) dropPartial() {
	if in.partial != nil {
		in.partial.Release()
		in.partial = nil
	}
}

// advanceTo takes note that no frame before index will come any more.
func (in *incoming) advanceTo(index uint64) error {
	if granted := in.granted.Load(); index > granted {
		return fmt.Errorf("it sent %d frames, granted were %d", index, granted)
	}
	if index > in.index {
		in.countLost(index - in.index)
		in.grantCredit(index)
	}
	return nil
}

func (in *incoming) countLost(n uint64) {
	r := in.session.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	if in.user != nil {
		in.user.stats.Lost += n
	}
}

// grantCredit makes index the next frame, and gives credit from there. What was granted
// holds, also where the stream before there had a larger window.
func (in *incoming) grantCredit(index uint64) {
	in.index = index
	if in.user == nil {
		return
	}
	granted, window := in.granted.Load(), in.user.window.Load()
	// A hundred blocks a second need no credit each: half a window of it is given together,
	// long before a sender is short of it.
	if in.user.kind == capture.Audio && index+window < granted+window/2 {
		return
	}
	in.granted.Store(max(granted, index+window))
	in.queueRecord(wire.Credit)
}
