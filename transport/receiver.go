package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/wire"
)

// Stats are totals of a Receiver since it was made.
type Stats struct {
	Sessions uint64 // that were begun
	Stale    uint64 // records of older sessions, and repeated ones
	Damage   wire.Damage
}

// Receiver takes the sessions that senders offer on a Link, one after the other.
type Receiver struct {
	Link Link
	// Pool makes the frames, and bounds the memory of those that a sender has begun in all
	// streams; nil: one of its own, of four of the largest frames.
	Pool *capture.Pool
	// Program and Version name this end to the sender; without a Program it is
	// "viewer".
	Program, Version string
	Log              *slog.Logger // nil discards
	// Plain takes over an image of plain MJPEG and returns it with its Format, repaired
	// where it must be. Its error costs only that image. Such images are of the first
	// stream. Without it a peer that sends such is refused.
	Plain func(*capture.Frame) (*capture.Frame, error)
	// Trust, if set, returns what proves this end to a sender and the sender to it, for
	// each greeting over a link that does not keep strangers away: of a sender that is not
	// paired nothing is taken.
	Trust func() trust.ViewerConfig
	// Trusted, if set, is called when a sender was proven. It must not wait.
	Trusted func(trust.Outcome)
	// UnsealedFrames asks for frames without a seal, as Sender.UnsealedFrames.
	UnsealedFrames bool
	// Refused, if set, is called with what ended a session since one end does not trust
	// the other.
	Refused func(error)

	mu      sync.Mutex
	streams [MaxStreams + 1]slot // by number
	request uint32               // number of the last Start or Stop of any stream
	setting uint32               // number of the last setting of any stream
	listing *cameraList          // nil: none is waited for
	probe   *probe               // nil: the line is not measured
	current *receiverSession
	stats   Stats
	clock   atomic.Pointer[Clock]
	offset  atomic.Int64 // of the sender's clock when the session began, in nanoseconds
}

// slot is a number of a stream.
type slot struct {
	stream *ReceiverStream // nil: closed
	// leaving is the number of the Stop that closed the stream; 0 if the slot is free
	// again, since the sender sends nothing more of the last stream there.
	leaving uint32
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

// Clock returns the estimate of the sender's clock in the present session, nil
// before the first.
func (r *Receiver) Clock() *Clock { return r.clock.Load() }

// Drift returns by how much the estimate of the sender's clock has moved since the
// session began. Frame.Time is by the first estimate: with the drift added, a time of
// this host is on the same clock.
func (r *Receiver) Drift() time.Duration {
	c := r.clock.Load()
	if c == nil {
		return 0
	}
	offset, _, _ := c.Estimate()
	return offset - time.Duration(r.offset.Load())
}

// Run serves until the context ends, and then closes the session. Its error is one
// that waiting cannot fix.
func (r *Receiver) Run(ctx context.Context) error {
	r.Log = orDiscard(r.Log)
	if r.Pool == nil {
		r.Pool = &capture.Pool{Limit: 4 * MaxFrame}
	}
	return serveSessions(ctx, r.Link, r.Log, func() {}, r.serveSession)
}

// serveSession runs one session and returns why it ended.
func (r *Receiver) serveSession(ctx context.Context, conn Conn) error {
	rs := newReceiverSession(r, conn)
	err := rs.runParts(rs.watchSender, rs.readRecords, rs.writeRecords,
		func(session context.Context) error {
			return rs.leaveWhenDone(ctx, session, rs.helloRead, r.programName()+" was closed")
		},
	)
	rs.endSession(err)
	reportRefusal(r.Refused, err)
	return err
}

func (r *Receiver) programName() string { return cmp.Or(r.Program, "viewer") }

// self describes this end to the sender.
func (rs *receiverSession) describeSelf() Peer {
	p := ownPeer(rs.receiver.programName(), rs.receiver.Version, rs.guard.features(FeatureControls, FeatureAudio)...)
	if rs.guard.needed {
		p.Host = ""
	}
	return p
}

// receiverSession is the viewer's side of one session.
type receiverSession struct {
	*session
	receiver  *Receiver
	clock     *Clock
	helloRead chan struct{} // closed at the first Hello
	streams   [MaxStreams + 1]incoming

	// Of the reader.
	peer         *Peer        // nil before the first Hello
	store        *trust.Store // of the proof
	controllable bool         // the peer has remote control; fixed before it is current
	audible      bool         // the peer has audio; likewise
	probing      bool         // the peer has probes; likewise
	begun        bool         // the sender has answered, and the time is known
	times        sessionTimes // fixed then, so that Frame.Time keeps differences
	damage       wire.Damage
	counts       []wire.Count // room for those of a Pong
	padding      uint64       // bytes that came before the last Pong
}

func newReceiverSession(r *Receiver, conn Conn) *receiverSession {
	rs := &receiverSession{session: newSession(conn, r.Link), receiver: r, helloRead: make(chan struct{})}
	for i := range rs.streams {
		rs.streams[i].session, rs.streams[i].id = rs, uint16(i)
	}
	rs.clock = &Clock{line: rs.line}
	rs.side, rs.lag = rs, lagOfSender
	rs.guard.needed = r.Trust != nil && rs.link.Strangers
	rs.guard.wantsUnsealed = rs.guard.needed && r.UnsealedFrames
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

// writeRecords writes control records as they become due, and at an interval a Ping:
// its Pong shows that the sender lives, and its time.
func (rs *receiverSession) writeRecords(session context.Context) error {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	ticker.Stop() // nothing may be written before the greeting
	for greeted := rs.helloRead; ; {
		if err := rs.writeDue(); err != nil {
			return err
		}
		if err := rs.writePadding(); err != nil {
			return err
		}
		select {
		case <-rs.wake:
		case <-greeted:
			greeted = nil
			ticker.Reset(pingEvery)
			rs.queueRecord(wire.Ping)
		case <-ticker.C:
			rs.queueRecord(wire.Ping)
		case <-session.Done():
			return nil
		}
	}
}

// writeControl implements side.
func (rs *receiverSession) writeControl(t wire.Type) error {
	switch t {
	case wire.Welcome:
		return rs.writeWelcome()
	case wire.Ping:
		return rs.writePing()
	case wire.List:
		if rs.receiver.wantsList() {
			return rs.writeRecord(wire.Header{Type: t})
		}
	}
	return nil
}

func (rs *receiverSession) writeWelcome() error {
	self := rs.describeSelf()
	if h := rs.guard.handshake.Load(); h != nil {
		self.Auth = h.Flight()
	}
	return rs.writeRecord(wire.Header{Type: wire.Welcome}, encodeMessage(self))
}

// proves implements side. A viewer's flight is in its answer.
func (rs *receiverSession) proves() bool { return false }

// placeOf implements side.
func (rs *receiverSession) placeOf(h wire.Header, n int) []byte {
	if h.Stream == 0 || h.Stream > MaxStreams {
		return nil
	}
	return rs.streams[h.Stream].placeOf(n)
}

// writeStreams implements side.
func (rs *receiverSession) writeStreams() error {
	for i := range rs.streams {
		in := &rs.streams[i]
		if err := in.due.writeDue(in.writeControl); err != nil {
			return err
		}
	}
	return nil
}

// writePing requests a sign of life, and repeats what the sender must know once it has
// shown the first one.
func (rs *receiverSession) writePing() error {
	if rs.guard.needed {
		rs.queueRecord(wire.Auth)
	}
	if rs.receiver.isCurrent(rs) {
		rs.queueRecord(wire.List)
		for i := 1; i <= MaxStreams; i++ {
			rs.streams[i].repeatState()
		}
	}
	if p := rs.startProbe(); p != nil {
		return rs.writeProbe(p)
	}
	return rs.writeRecord(wire.Header{Type: wire.Ping}, wire.AppendPing(rs.payload[:0], rs.monotonicNow()))
}

func (rs *receiverSession) readRecords(context.Context) error {
	defer rs.dropPartials()
	head, plain, err := sniffPlain(rs.conn)
	if err != nil {
		return err
	}
	src := io.MultiReader(bytes.NewReader(head), rs.conn)
	switch {
	case plain && rs.guard.needed && !rs.receiver.Trust().AllowUnpaired:
		return fmt.Errorf("%w: it sends plain MJPEG, and proves nothing", ErrProtocol)
	case plain && rs.receiver.Plain == nil:
		return fmt.Errorf("%w: it sends plain MJPEG", ErrProtocol)
	case plain:
		return rs.readPlain(src)
	}
	rs.reader = newReader(src, rs.link)
	return rs.readAll(rs.handleRecord)
}

// handleRecord acts on one record. Unknown types are for later versions: ignored.
func (rs *receiverSession) handleRecord(h wire.Header, payload []byte) error {
	rs.noteGap()
	rs.noteDamage()
	switch {
	case h.Type == wire.Hello:
		return rs.handleHello(h, payload)
	case h.Type == wire.Auth && rs.guard.needed:
		return rs.handleAuth(h, payload, rs.admitPeer)
	case !rs.guard.admitsPeer():
		return nil
	case h.Type == wire.Pong:
		return rs.handlePong(payload)
	case !rs.begun || rs.older.Load():
		return nil
	case h.Type == wire.Camera:
		return rs.receiver.addCamera(h, payload)
	case belongsToStream(h.Type):
		return rs.streams[h.Stream].handleRecord(h, payload)
	}
	return nil
}

// noteGap reacts to records that are missing before the present one. The frames
// of which they may be a part are given up, and a Ping asks at once what was sent.
func (rs *receiverSession) noteGap() {
	if rs.gap {
		rs.dropPartials()
		rs.receiver.restartList()
		rs.queueRecord(wire.Ping)
	}
}

// noteDamage adds what the reader passed over to the receiver's totals.
func (rs *receiverSession) noteDamage() {
	damage := rs.reader.Damage()
	if damage == rs.damage {
		return
	}
	rs.receiver.addDamage(damage.Records-rs.damage.Records, damage.Bytes-rs.damage.Bytes)
	rs.damage = damage
}

// addDamage adds to the totals.
func (r *Receiver) addDamage(records, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Damage.Records += records
	r.stats.Damage.Bytes += bytes
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
	if err := rs.answerProof(peer); err != nil {
		return err
	}
	rs.queueRecord(wire.Welcome)
	if rs.peer == nil {
		if rs.link.Stale {
			rs.limit.Store(int64(answerWait))
		}
		close(rs.helloRead)
	}
	if !rs.older.Load() && rs.noteOlder(peer) {
		rs.partFromOlder(rs.describeSelf())
	}
	rs.peer = &peer
	return nil
}

// answerProof answers the flight of a sender's greeting, which may come several times.
func (rs *receiverSession) answerProof(peer Peer) error {
	g := &rs.guard
	if !g.needed || peer.Protocol[1] < Protocol {
		return nil
	}
	if h := g.handshake.Load(); h != nil && h.Answers(peer.Auth) {
		return nil
	}
	if g.greetings++; g.greetings > maxGreetings {
		return errors.New("it greets too often")
	}
	config := rs.receiver.Trust()
	config.Params = encodeMessage(rs.describeSelf())
	h, err := trust.NewViewer(config, peer.Auth)
	if err != nil {
		return err
	}
	// What an older greeting has led to counts no more.
	g.opener, rs.store = nil, config.Store
	g.sealer.Store(nil)
	g.heard.Store(false)
	g.trusted.Store(false)
	rs.startHandshake(h)
	return nil
}

// admitPeer begins a session with a sender that was proven.
func (rs *receiverSession) admitPeer(outcome trust.Outcome) error {
	peer, err := rs.provenPeer(outcome)
	if err != nil {
		return err
	}
	rs.peer = &peer
	rs.agreeOnFrames(peer, rs.receiver.Log)
	if trusted := rs.receiver.Trusted; trusted != nil {
		trusted(outcome)
	}
	rs.watchPeer(rs.store, outcome, func(trust.Outcome) {})
	rs.queueRecord(wire.Ping) // its answer begins the session
	return nil
}

func (rs *receiverSession) handlePong(payload []byte) error {
	if rs.older.Load() {
		return nil
	}
	clock, counts, err := wire.ParsePong(payload, rs.counts[:0])
	if err != nil {
		return fmt.Errorf("read pong: %w", err)
	}
	rs.counts = counts
	arrived := rs.monotonicNow()
	rs.clock.addSample(clock, arrived)
	if offset, uncertainty, ok := rs.clock.Estimate(); ok && !rs.begun {
		rs.beginSession(newSessionTimes(rs.line, offset, uncertainty))
	}
	if !rs.begun {
		return nil
	}
	rs.finishProbe(clock, arrived)
	rs.freeSlots(clock.Ping)
	rs.meetStreams()
	for _, count := range counts {
		in := &rs.streams[count.Stream]
		if !in.opened.Load() {
			return fmt.Errorf("read pong: %w", in.checkOpened())
		}
		// All frames sent before the Pong have come or never will.
		if err := in.advanceTo(count.Frames); err != nil {
			return err
		}
	}
	return nil
}

// beginSession makes the session the receiver's. It requests frames only when the
// first Pong has given the time, so that every frame's times are known, and that
// the sender lives: what a device held may be of one that is gone.
func (rs *receiverSession) beginSession(times sessionTimes) {
	rs.begun, rs.times = true, times
	rs.limit.Store(int64(liveness))
	r := rs.receiver
	r.clock.Store(rs.clock)
	r.offset.Store(int64(times.offset))
	r.restartList()
	rs.controllable, rs.audible = rs.peer.has(FeatureControls), rs.peer.has(FeatureAudio)
	rs.probing = rs.peer.has(FeatureProbe)
	r.mu.Lock()
	r.stats.Sessions++
	r.current = rs
	r.mu.Unlock()
	rs.meetStreams()
	rs.queueRecord(wire.Ping) // and with it, all that the sender must know
}

// meetStreams greets the consumers of streams that were opened since.
func (rs *receiverSession) meetStreams() {
	for i := 1; i <= MaxStreams; i++ {
		rs.streams[i].reportSession()
	}
}

// freeSlots frees the numbers of streams that were closed before a Ping that the sender
// has answered: nothing more of them can be on the way.
func (rs *receiverSession) freeSlots(ping int64) {
	r := rs.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.streams {
		in := &rs.streams[i]
		if r.streams[i].leaving != 0 && in.left != 0 && in.left < ping {
			r.streams[i].leaving, in.left = 0, 0
		}
	}
}

// endSession undoes begin.
func (rs *receiverSession) endSession(err error) {
	rs.noteDamage()
	r := rs.receiver
	r.mu.Lock()
	r.stats.Stale += rs.stale
	r.current = nil
	r.dropProbe()
	for i := range r.streams {
		r.streams[i].leaving = 0
		if s := r.streams[i].stream; s != nil {
			s.controls = Controls{}
		}
	}
	r.mu.Unlock()
	for i := range rs.streams {
		if user := rs.streams[i].user; user != nil && rs.begun && !user.isClosed() {
			user.consumer.Disconnected(err)
		}
	}
}

func (rs *receiverSession) dropPartials() {
	for i := range rs.streams {
		rs.streams[i].dropPartial()
	}
}
