package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// window is how many frames may be on their way: one that is written while the
// one before it is read.
const window = 2

// Consumer is what a Receiver serves. Its methods are called by one goroutine,
// which reads nothing meanwhile: they must not wait.
type Consumer interface {
	Connected(peer Peer)
	// Mode describes the frames that follow.
	Mode(mode Mode)
	// Frame takes over the reference. lost are the sender's totals of the session.
	Frame(f *capture.Frame, lost capture.Lost)
	// Lost is called with the sender's totals when they have grown without a frame.
	Lost(lost capture.Lost)
	Status(status Status)
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

// Disconnected implements Consumer.
func (NopConsumer) Disconnected(error) {}

// Stats are totals of a Receiver since it was made.
type Stats struct {
	Sessions uint64 // that were begun
	Frames   uint64 // that were received whole
	Bytes    uint64 // of these
	Lost     uint64 // frames that were sent but not received whole
	Stale    uint64 // records of older sessions, and repeated ones
	Damage   wire.Damage
}

// Receiver takes the sessions that senders offer on a Link, one after the other.
type Receiver struct {
	Link     Link
	Consumer Consumer
	Pool     *capture.Pool // of the frames; nil: one of its own
	// Program and Version name this end to the sender; without a Program it is
	// "viewer".
	Program, Version string
	Log              *slog.Logger // nil discards
	// Plain takes over an image of plain MJPEG and returns it with its Format, repaired
	// where it must be. Its error costs only that image. Without it a
	// peer that sends such is refused.
	Plain func(*capture.Frame) (*capture.Frame, error)
	// ControlsChanged, if set, is called with what Controls returns whenever that is new.
	// It is called like the Consumer.
	ControlsChanged func(Controls)

	mu       sync.Mutex
	want     *capture.Want // nil: no frames
	request  uint32        // number of the last Start or Stop
	listing  *cameraList   // nil: none is waited for
	current  *receiverSession
	stats    Stats
	controls Controls         // of the present session
	setting  uint32           // number of the last setting
	pending  []pendingSetting // by number
	clock    atomic.Pointer[Clock]

	// Of all sessions: each may begin with a mode and a status.
	modes, statuses allowance
}

// cameraList collects the answer to a List.
type cameraList struct {
	cameras []capture.Device
	begun   bool          // the first record came, and all since
	done    chan struct{} // closed when the list is complete
}

// Start requests frames, now and in every session to come, until Stop. The
// want must pass its Check. It returns the number of the request, which a Mode and a
// Status that answer it carry.
func (r *Receiver) Start(want capture.Want) (request uint32) { return r.sendRequest(&want) }

// Stop requests no more frames; the session goes on.
func (r *Receiver) Stop() { r.sendRequest(nil) }

// Keep has another want asked for in every session to come, but does not ask for it
// now: what ran before a Start that was Refused goes on.
func (r *Receiver) Keep(want capture.Want) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.want != nil {
		r.want = &want
	}
}

func (r *Receiver) sendRequest(want *capture.Want) (request uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = want
	r.request++
	r.modes.request(modeLimit)
	r.statuses.request(statusLimit)
	if r.current != nil {
		r.current.queue(wire.Start)
	}
	return r.request
}

// Cameras asks the sender what it has. It waits for a session first.
func (r *Receiver) Cameras(ctx context.Context) ([]capture.Device, error) {
	list := r.pendingList()
	select {
	case <-list.done:
		return list.cameras, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("list the sender's cameras: %w", ctx.Err())
	}
}

// pendingList returns the list that is being asked for, and asks if none is.
func (r *Receiver) pendingList() *cameraList {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing == nil {
		r.listing = &cameraList{done: make(chan struct{})}
		if r.current != nil {
			r.current.queue(wire.List)
		}
	}
	return r.listing
}

// Stats returns the totals so far.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// isCurrent reports whether the session has begun and not ended.
func (r *Receiver) isCurrent(rs *receiverSession) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current == rs
}

// updateStats changes the totals.
func (r *Receiver) updateStats(change func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.stats)
}

// Clock returns the estimate of the sender's clock in the present session, nil
// before the first.
func (r *Receiver) Clock() *Clock { return r.clock.Load() }

// Run serves until the context ends, and then closes the session. Its error is one
// that waiting cannot fix.
func (r *Receiver) Run(ctx context.Context) error {
	r.Log = orDiscard(r.Log)
	if r.Pool == nil {
		r.Pool = &capture.Pool{}
	}
	return serveSessions(ctx, r.Link, r.Log, r.serve)
}

// serve runs one session and returns why it ended.
func (r *Receiver) serve(ctx context.Context, conn Conn) error {
	rs := newReceiverSession(r, conn)
	err := rs.run(ctx, rs.watchSender, rs.sendPings, rs.read, rs.write,
		func(session context.Context) error {
			return rs.leaveWhenDone(ctx, session, rs.helloRead, r.program()+" was closed")
		},
	)
	rs.end(err)
	return err
}

func (r *Receiver) program() string { return cmp.Or(r.Program, "viewer") }

// receiverSession is the viewer's side of one session.
type receiverSession struct {
	*session
	receiver  *Receiver
	clock     *Clock
	helloRead chan struct{} // closed at the first Hello
	granted   atomic.Uint64 // frames that may be sent in all

	// Of the reader.
	peer         *Peer         // nil before the first Hello
	controllable bool          // the peer has remote control; fixed before it is current
	have         atomic.Uint32 // number of the last Controls
	begun        bool          // the sender has answered, and the time is known
	times        sessionTimes  // fixed then, so that Frame.Time keeps differences
	status       Status
	lost         capture.Lost // the sender's totals
	mode         Mode
	index        uint64           // of the next frame
	meta         wire.FrameHeader // of partial
	partial      *capture.Frame
	filled       int // bytes of partial that were received
	damage       wire.Damage
}

func newReceiverSession(r *Receiver, conn Conn) *receiverSession {
	rs := &receiverSession{session: newSession(conn, r.Link), receiver: r, helloRead: make(chan struct{})}
	rs.clock = &Clock{line: rs.line}
	rs.compose, rs.lag = rs.writeOwn, lagOfSender
	return rs
}

// watchSender ends when the sender is silent. Before the first Hello that holds only
// where the connection proves that a sender is there.
func (rs *receiverSession) watchSender(session context.Context) error {
	if rs.link.Greets {
		select {
		case <-rs.helloRead:
		case <-session.Done():
			return nil
		}
	}
	return rs.watchLiveness(session)
}

// sendPings requests a Pong at an interval: it shows that the sender lives, and its time.
func (rs *receiverSession) sendPings(session context.Context) error {
	select {
	case <-rs.helloRead:
	case <-session.Done():
		return nil
	}
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		rs.queue(wire.Ping)
		select {
		case <-ticker.C:
		case <-session.Done():
			return nil
		}
	}
}

// write writes control records as they become due.
func (rs *receiverSession) write(session context.Context) error {
	for {
		if err := rs.writeDue(); err != nil {
			return err
		}
		if err := rs.writePadding(); err != nil {
			return err
		}
		select {
		case <-rs.wake:
		case <-session.Done():
			return nil
		}
	}
}

// writeOwn writes a control record of the viewer's.
func (rs *receiverSession) writeOwn(t wire.Type) error {
	switch t {
	case wire.Welcome:
		return rs.writeRecord(wire.Header{Type: t}, encode(ownPeer(rs.receiver.program(), rs.receiver.Version, FeatureControls)))
	case wire.Ping:
		return rs.writePing()
	case wire.Start:
		return rs.writeRequest()
	case wire.Credit:
		return rs.writeRecord(wire.Header{Type: t, Stream: VideoStream}, wire.AppendCredit(rs.payload[:0], rs.granted.Load()))
	case wire.List:
		if rs.receiver.wantsList() {
			return rs.writeRecord(wire.Header{Type: t})
		}
	case wire.Set:
		return rs.writeSet()
	}
	return nil
}

// writePing requests a sign of life, and repeats what the sender must know once it has
// shown the first one.
func (rs *receiverSession) writePing() error {
	if rs.receiver.isCurrent(rs) {
		rs.queue(wire.Credit)
		rs.queue(wire.Start)
		rs.queue(wire.List)
		rs.queue(wire.Set)
	}
	return rs.writeRecord(wire.Header{Type: wire.Ping, Stream: VideoStream}, wire.AppendPing(rs.payload[:0], rs.now()))
}

// writeRequest writes Start or Stop, whichever the user asked for last.
func (rs *receiverSession) writeRequest() error {
	r := rs.receiver
	r.mu.Lock()
	h, message := wire.Header{Type: wire.Stop, Stream: VideoStream}, request{Number: r.request}
	if r.want != nil {
		h.Type, message.Want = wire.Start, *r.want
	}
	r.mu.Unlock()
	if message.Number == 0 {
		return nil
	}
	return rs.writeRecord(h, encode(message))
}

func (rs *receiverSession) read(context.Context) error {
	defer rs.dropPartial()
	head, plain, err := sniff(rs.conn)
	if err != nil {
		return err
	}
	src := io.MultiReader(bytes.NewReader(head), rs.conn)
	switch {
	case plain && rs.receiver.Plain == nil:
		return fmt.Errorf("%w: it sends plain MJPEG", ErrProtocol)
	case plain:
		return rs.readPlain(src)
	}
	rs.reader = newReader(src, rs.link)
	return rs.readAll(rs.handle)
}

// handle acts on one record. Unknown types are for later versions: ignored.
func (rs *receiverSession) handle(h wire.Header, payload []byte) error {
	rs.noteGap()
	rs.noteDamage()
	switch {
	case h.Type == wire.Hello:
		return rs.handleHello(h, payload)
	case h.Type == wire.Pong:
		return rs.handlePong(payload)
	case !rs.begun:
		return nil
	}
	switch h.Type {
	case wire.Mode:
		return rs.handleMode(h, payload)
	case wire.Frame:
		return rs.handlePiece(h, payload)
	case wire.Status:
		return rs.handleStatus(h, payload)
	case wire.Camera:
		return rs.receiver.addCamera(h, payload)
	case wire.Controls:
		return rs.handleControls(h, payload)
	}
	return nil
}

// noteGap reacts to records that are missing before the present one. The frame
// of which they may be a part is given up, and a Ping asks at once what was sent.
func (rs *receiverSession) noteGap() {
	if rs.gap {
		rs.dropPartial()
		rs.receiver.restartList()
		rs.queue(wire.Ping)
	}
}

// noteDamage adds what the reader passed over to the receiver's totals.
func (rs *receiverSession) noteDamage() {
	damage := rs.reader.Damage()
	if damage == rs.damage {
		return
	}
	rs.receiver.updateStats(func(s *Stats) {
		s.Damage.Bytes += damage.Bytes - rs.damage.Bytes
		s.Damage.Records += damage.Records - rs.damage.Records
	})
	rs.damage = damage
}

// handleHello answers the sender. Until the session has begun another one may take its
// place: the first was left over on a device whose sender opened it again.
func (rs *receiverSession) handleHello(h wire.Header, payload []byte) error {
	peer, err := parsePeer(h, payload)
	switch {
	case err != nil:
		return err
	case h.Session == 0:
		return errors.New("it offers session 0")
	case rs.begun && h.Session != rs.id.Load():
		return errors.New("it offers another session")
	}
	rs.id.Store(h.Session)
	rs.queue(wire.Welcome)
	if rs.peer == nil {
		if rs.link.Stale {
			rs.limit.Store(int64(answerWait))
		}
		close(rs.helloRead)
	}
	rs.peer = &peer
	return nil
}

func (rs *receiverSession) handlePong(payload []byte) error {
	clock, sent, err := wire.ParsePong(payload)
	if err != nil {
		return fmt.Errorf("read pong: %w", err)
	}
	rs.clock.add(clock, rs.now())
	if offset, uncertainty, ok := rs.clock.Estimate(); ok && !rs.begun {
		rs.begin(newSessionTimes(rs.line, offset, uncertainty))
	}
	if !rs.begun {
		return nil
	}
	// All frames sent before the Pong have come or never will.
	return rs.advanceTo(sent)
}

// begin makes the session the receiver's. It requests frames only when the
// first Pong has given the time, so that every frame's times are known, and that
// the sender lives: what a device held may be of one that is gone.
func (rs *receiverSession) begin(times sessionTimes) {
	rs.begun, rs.times = true, times
	rs.limit.Store(int64(liveness))
	rs.granted.Store(window)
	r := rs.receiver
	r.clock.Store(rs.clock)
	r.restartList()
	rs.controllable = slices.Contains(rs.peer.Features, FeatureControls)
	r.mu.Lock()
	r.stats.Sessions++
	r.current = rs
	r.mu.Unlock()
	if !rs.controllable { // what is set from now on is refused by SetControl
		r.refuseSettings()
	}
	r.Consumer.Connected(*rs.peer)
	rs.queue(wire.Ping) // and with it, all that the sender must know
}

// end undoes begin.
func (rs *receiverSession) end(err error) {
	rs.noteDamage()
	r := rs.receiver
	r.mu.Lock()
	r.stats.Stale += rs.stale
	r.current, r.controls = nil, Controls{}
	r.mu.Unlock()
	if rs.begun {
		r.Consumer.Disconnected(err)
	}
}

func (rs *receiverSession) handleMode(h wire.Header, payload []byte) error {
	mode, err := parseMode(h, payload)
	if err != nil || mode.Number == rs.mode.Number {
		return err
	}
	if !rs.receiver.modes.take(modeLimit) {
		return errors.New("it changes its mode too often")
	}
	rs.mode = mode
	rs.receiver.Consumer.Mode(mode)
	return nil
}

func (rs *receiverSession) handleStatus(h wire.Header, payload []byte) error {
	message, err := parseStatus(h, payload)
	if err != nil {
		return err
	}
	if message.Status != rs.status {
		if !rs.receiver.statuses.take(statusLimit) {
			return errors.New("it changes its status too often")
		}
		rs.status = message.Status
		rs.receiver.Consumer.Status(message.Status)
	}
	before := rs.lost
	if message.Lost.advance(&rs.lost); rs.lost != before {
		rs.receiver.Consumer.Lost(rs.lost)
	}
	return nil
}

// handlePiece adds a record to the frame that is being received. Without one it is
// part of a frame that was given up.
func (rs *receiverSession) handlePiece(h wire.Header, payload []byte) error {
	if h.Flags&wire.First != 0 {
		rs.dropPartial()
		rest, err := rs.beginFrame(payload)
		if err != nil {
			return fmt.Errorf("read frame: %w", err)
		}
		payload = rest
	}
	if rs.partial == nil {
		return nil
	}
	rest := rs.reader.Rest()
	if len(payload)+rest > len(rs.partial.Data)-rs.filled {
		return fmt.Errorf("read frame: it has more than the %d bytes it should have", len(rs.partial.Data))
	}
	rs.filled += copy(rs.partial.Data[rs.filled:], payload)
	n := rs.reader.ReadRest(rs.partial.Data[rs.filled : rs.filled+rest])
	rs.filled += n
	if h.Flags&wire.Last != 0 && n == rest {
		return rs.completeFrame()
	}
	return nil
}

// beginFrame reads the header of a frame, makes room for its data, and
// returns the first bytes of that. A frame whose Mode was lost is passed over:
// the Mode comes again with the next heartbeat.
func (rs *receiverSession) beginFrame(payload []byte) ([]byte, error) {
	meta, rest, err := wire.ParseFrameHeader(payload)
	if err != nil {
		return nil, err
	}
	if meta.Index < rs.index || meta.Index >= rs.granted.Load() {
		return nil, fmt.Errorf("its index is %d, not one of %d to %d", meta.Index, rs.index, rs.granted.Load()-1)
	}
	if err := rs.advanceTo(meta.Index); err != nil || rs.mode.Number == 0 || meta.Mode != rs.mode.Number {
		return nil, err
	}
	if err := checkSize(rs.mode.Format, int(meta.Size)); err != nil {
		return nil, err
	}
	if !rs.receiver.Pool.Room(int(meta.Size)) { // lost, as those of which a part is
		return nil, nil
	}
	rs.meta, rs.filled = meta, 0
	rs.partial = rs.receiver.Pool.Get(int(meta.Size))
	rs.partial.Format, rs.partial.Sequence = rs.mode.Format, meta.Sequence
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
func (rs *receiverSession) completeFrame() error {
	f, meta := rs.partial, rs.meta
	if rs.filled != len(f.Data) {
		return fmt.Errorf("read frame: it has %d bytes of %d", rs.filled, len(f.Data))
	}
	captured, err := rs.times.captured(meta.Captured, time.Now())
	if err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	rs.partial = nil
	f.Time = captured
	f.At = [capture.NumStages]time.Time{
		capture.Captured: rs.clock.local(meta.Captured),
		capture.Dequeued: rs.clock.local(meta.Dequeued),
		capture.Taken:    rs.clock.local(meta.Taken()),
		capture.Encoded:  rs.clock.local(meta.Encoded),
		capture.Sent:     rs.clock.local(meta.Sent),
		capture.Received: time.Now(),
	}
	rs.receiver.updateStats(func(s *Stats) {
		s.Frames++
		s.Bytes += uint64(len(f.Data))
	})
	lostTotals{meta.LostDriver, meta.LostDamaged, meta.LostSuperseded}.advance(&rs.lost)
	rs.receiver.Consumer.Frame(f, rs.lost)
	rs.grantCredit(meta.Index + 1)
	return nil
}

func (rs *receiverSession) dropPartial() {
	if rs.partial != nil {
		rs.partial.Release()
		rs.partial = nil
	}
}

// advanceTo takes note that no frame before index will come any more.
func (rs *receiverSession) advanceTo(index uint64) error {
	if granted := rs.granted.Load(); index > granted {
		return fmt.Errorf("it sent %d frames, granted were %d", index, granted)
	}
	if index > rs.index {
		rs.receiver.updateStats(func(s *Stats) { s.Lost += index - rs.index })
		rs.grantCredit(index)
	}
	return nil
}

// grantCredit makes index the next frame, and gives credit from there.
func (rs *receiverSession) grantCredit(index uint64) {
	rs.index = index
	rs.granted.Store(index + window)
	rs.queue(wire.Credit)
}

// addCamera adds one camera to the list that is being asked for.
func (r *Receiver) addCamera(h wire.Header, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.listing
	if list == nil {
		return nil
	}
	if h.Flags&wire.First != 0 {
		list.begun, list.cameras = true, nil
	}
	switch {
	case !list.begun:
		return nil
	case h.Flags&wire.Last != 0:
		r.listing = nil
		close(list.done)
		return nil
	case len(list.cameras) == maxCameras:
		return fmt.Errorf("it has more than %d cameras", maxCameras)
	}
	camera, err := parseCamera(h, payload)
	if err == nil {
		list.cameras = append(list.cameras, camera)
	}
	return err
}

// wantsList reports whether a list is waited for and none is coming.
func (r *Receiver) wantsList() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listing != nil && !r.listing.begun
}

// restartList forgets what came of the list, for a part may be missing.
func (r *Receiver) restartList() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing != nil {
		r.listing.begun = false
	}
}
