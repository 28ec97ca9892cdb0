package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/wire"
)

// helloWaits are the waits after each Hello of an opening. What is sent to a device
// whose peer has not opened may be lost, do harm, or put that peer behind: so they
// are few, and where none was answered the sender closes the device for a while. It
// does so soon after the last one: a viewer that opens in between reads nothing.
var helloWaits = [...]time.Duration{
	250 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, time.Second, time.Second, time.Second, 250 * time.Millisecond,
}

// drainWait is how long a sender whose producer has ended waits until the viewer has
// read all of it.
const drainWait = 10 * time.Second

// Sender offers sessions on a Link, one after the other, and serves a Catalogue.
type Sender struct {
	Link      Link
	Catalogue Catalogue
	// Program and Version name this end to the viewer; without a Program it is
	// "sender".
	Program, Version string
	Host             string       // "": the name of this host
	Log              *slog.Logger // nil discards
	// Skew, if set, returns what is added to the times of this host's clock, but for those
	// of captures: who forwards frames sends the times of the clock that they come from.
	Skew func() time.Duration
	// Trust, if set, returns what proves this end to a viewer and the viewer to it, for
	// each session over a link that does not keep strangers away: a viewer that is not
	// paired gets nothing. It is called from other goroutines, while the link opens.
	Trust func() trust.SenderConfig
	// Trusted, if set, is called when a viewer was proven, before anything that it asks
	// for is considered, and when its rights change. It must not wait.
	Trusted func(trust.Outcome)
	// UnsealedFrames has frames go without a seal, with a checksum: for lines of which nobody
	// can read along, where CPU time counts. A viewer may ask for it, too.
	UnsealedFrames bool
	// Refused, if set, is called with what ended a session since one end does not trust
	// the other.
	Refused func(error)
	// Disconnected, if set, is called when a session with a viewer has ended, with the
	// number of frames that were written.
	Disconnected func(frames uint64)
	// Sent, if set, is called with every frame that was written, before its release.
	Sent func(stream int, f *capture.Frame)

	streams   [MaxStreams + 1]atomic.Pointer[SenderStream] // by number; nil until opened
	pace      *pace                                        // of applySettings, of all streams
	announced bool                                         // it was logged that no viewer answers
	served    atomic.Pointer[Peer]                         // nil: no viewer
	offers    chan offer                                   // one for the next session; nil: none is prepared
}

// Served returns the viewer of the present session, nil if there is none.
func (s *Sender) Served() *Peer { return s.served.Load() }

// Run serves until the context or a producer ends, and then closes the session. Its
// error is the producer's, unless that is io.EOF, or one that waiting cannot fix.
func (s *Sender) Run(ctx context.Context) error {
	s.Log, s.pace = orDiscard(s.Log), newPace()
	defer s.dropOffer()
	return serveSessions(ctx, s.Link, s.Log, s.prepareOffer, s.serveSession)
}

// offer is the greeting of a session, with the first flight of a proof where one is needed.
type offer struct {
	hello     Peer
	handshake *trust.Handshake // nil: none is needed
	store     *trust.Store     // of handshake
	err       error
}

// prepareOffer begins to prepare the next session's offer, unless that was done: keys are made
// while the link opens.
func (s *Sender) prepareOffer() {
	if s.offers == nil {
		offers := make(chan offer, 1)
		s.offers = offers
		go func() { offers <- s.newOffer() }()
	}
}

// takeOffer returns the offer that was prepared.
func (s *Sender) takeOffer() offer {
	o := <-s.offers
	s.offers = nil
	return o
}

// dropOffer drops an offer that no session has taken.
func (s *Sender) dropOffer() {
	if s.offers != nil {
		if o := s.takeOffer(); o.handshake != nil {
			o.handshake.Close()
		}
	}
}

// newOffer describes this end to a viewer, and begins to prove it.
func (s *Sender) newOffer() (o offer) {
	proves := s.Trust != nil && s.Link.Properties().Strangers
	g := guard{wantsUnsealed: proves && s.UnsealedFrames}
	o.hello = ownPeer(s.programName(), s.Version, g.features(FeatureControls, FeatureAudio, FeatureProbe)...)
	if o.hello.Host = cmp.Or(s.Host, o.hello.Host); !proves {
		return o
	}
	o.hello.Host = ""
	config := s.Trust()
	config.Params = encodeMessage(o.hello)
	if o.handshake, o.err = trust.NewSender(config); o.err == nil {
		o.store, o.hello.Auth = config.Store, o.handshake.Flight()
	}
	return o
}

// serveSession runs one session and returns why it ended.
func (s *Sender) serveSession(ctx context.Context, conn Conn) error {
	o := s.takeOffer()
	if o.err != nil {
		return &endedError{errors.Join(o.err, conn.Close())}
	}
	ss := newSenderSession(ctx, s, conn, o)
	err := ss.runParts(ss.sendHellos, ss.readRecords, ss.writeRecords, ss.listCameras,
		func(session context.Context) error {
			return ss.leaveWhenDone(ctx, session, ss.welcome, s.programName()+" was closed")
		},
	)
	ss.closeStreams()
	s.served.Store(nil)
	s.logDisconnect(ss, err)
	reportRefusal(s.Refused, err)
	return ss.runError(err)
}

// logDisconnect logs and reports that a viewer left, or once that none is there.
func (s *Sender) logDisconnect(ss *senderSession, err error) {
	peer := ss.peer.Load()
	switch {
	case peer != nil && (ss.older.Load() || !ss.guard.admitsPeer()): // that was logged
		s.announced = false
	case peer != nil:
		s.announced = false
		frames := ss.framesSent()
		s.Log.Info(fmt.Sprintf("viewer disconnected: %v", err), "frames", frames)
		if s.Disconnected != nil {
			s.Disconnected(frames)
		}
	case !s.announced && errors.Is(err, ErrPeerDead):
		s.announced = true
		s.Log.Info("waiting for a viewer: no answer", "stream", s.Link.String())
	}
}

func (s *Sender) programName() string { return cmp.Or(s.Program, "sender") }

// clockSkew returns what is added to times, in nanoseconds.
func (s *Sender) clockSkew() int64 {
	if s.Skew == nil {
		return 0
	}
	return int64(s.Skew())
}

// senderSession is the sender's side of one session.
type senderSession struct {
	*session
	sender  *Sender
	running context.Context // of Run

	welcome chan struct{}         // closed when the viewer accepted
	peer    atomic.Pointer[Peer]  // nil until then
	ended   atomic.Pointer[error] // what a producer ended with, nil before

	streams  [MaxStreams + 1]atomic.Pointer[outgoing] // by number; nil until opened
	schedule scheduler

	ping    atomic.Pointer[wire.Clock] // the last one that was read
	probed  atomic.Pointer[probeAsked] // nil: no padding is asked for
	lists   chan struct{}              // the viewer asks for the cameras
	cameras atomic.Pointer[[][]byte]   // a list for the writer to begin with

	offer offer

	// Of the writer.
	rest   [][]byte // cameras still to be sent
	counts []wire.Count
}

func newSenderSession(running context.Context, s *Sender, conn Conn, o offer) *senderSession {
	ss := &senderSession{
		session: newSession(conn, s.Link), sender: s, running: running, offer: o,
		welcome: make(chan struct{}), lists: make(chan struct{}, 1), schedule: newScheduler(),
	}
	ss.id.Store(max(1, rand.Uint32()))
	ss.side, ss.lag = ss, lagOfViewer
	ss.guard.needed = o.handshake != nil
	ss.guard.wantsUnsealed = ss.guard.needed && s.UnsealedFrames
	ss.guard.handshake.Store(o.handshake)
	return ss
}

// runError returns the error of Run where the session was the last one. A producer
// that has ended was served only if the viewer has acknowledged that.
func (ss *senderSession) runError(err error) error {
	ended := ss.ended.Load()
	switch {
	case ended == nil:
		return err
	case !errors.Is(*ended, io.EOF):
		return &endedError{*ended}
	case errors.Is(err, errByeAcked) || ss.bye != nil:
		return &endedError{}
	}
	return &endedError{fmt.Errorf("end the stream: the viewer may miss the last frames: %w", err)}
}

// sendHellos sends Hello until it is answered, or often enough.
func (ss *senderSession) sendHellos(session context.Context) error {
	for _, wait := range helloWaits {
		ss.queueRecord(wire.Hello)
		select {
		case <-ss.welcome:
			return ss.watchLiveness(session)
		case <-session.Done():
			return nil
		case <-time.After(wait):
		}
	}
	return fmt.Errorf("%w: no answer to %d HELLO", ErrPeerDead, len(helloWaits))
}

func (ss *senderSession) readRecords(context.Context) error { return ss.readAll(ss.handleRecord) }

// handleRecord acts on one record. Unknown types are for later versions: ignored.
func (ss *senderSession) handleRecord(h wire.Header, payload []byte) error {
	switch {
	case h.Type == wire.Hello:
		return errors.New("it is a sender, too")
	case h.Type == wire.Welcome:
		return ss.handleWelcome(h, payload)
	case h.Type == wire.Auth && ss.guard.needed:
		return ss.handleAuth(h, payload, ss.admitPeer)
	case !ss.guard.admitsPeer() && h.Type != wire.Ping:
		return nil
	case ss.peer.Load() == nil || ss.older.Load() && h.Type != wire.Ping:
		return nil
	}
	switch h.Type {
	case wire.Ping:
		return ss.handlePing(payload)
	case wire.Start, wire.Stop:
		return ss.handleRequest(h, payload)
	case wire.Credit:
		return ss.handleCredit(h, payload)
	case wire.List:
		notifyOne(ss.lists)
	case wire.Set:
		return ss.handleSet(h, payload)
	}
	return nil
}

func (ss *senderSession) handleWelcome(h wire.Header, payload []byte) error {
	peer, err := parsePeer(h, payload)
	if err != nil {
		return err
	}
	older := ss.noteOlder(peer)
	if !ss.peer.CompareAndSwap(nil, &peer) { // it answered one more Hello
		return nil
	}
	close(ss.welcome)
	switch {
	case older:
	case ss.guard.needed:
		ss.handleFlight(peer.Auth)
		ss.startHandshake(ss.guard.handshake.Load())
		ss.queueRecord(wire.Auth)
	default:
		ss.sender.served.Store(&peer)
		ss.sender.Log.Info(fmt.Sprintf("viewer connected: %v", peer))
	}
	return nil
}

// proves implements side.
func (ss *senderSession) proves() bool { return true }

// placeOf implements side. A sender reads no frames.
func (ss *senderSession) placeOf(wire.Header, int) []byte { return nil }

// admitPeer begins to serve a viewer that was proven.
func (ss *senderSession) admitPeer(outcome trust.Outcome) error {
	peer, err := ss.provenPeer(outcome)
	if err != nil {
		return err
	}
	ss.peer.Store(&peer)
	ss.sender.served.Store(&peer)
	ss.sender.Log.Info(fmt.Sprintf("viewer connected: %v", peer))
	ss.agreeOnFrames(peer, ss.sender.Log)
	report := func(o trust.Outcome) {
		if ss.sender.Trusted != nil {
			ss.sender.Trusted(o)
		}
	}
	report(outcome)
	ss.watchPeer(ss.offer.store, outcome, report)
	return nil
}

func (ss *senderSession) handlePing(payload []byte) error {
	sent, padding, err := wire.ParseProbe(payload)
	if err != nil {
		return fmt.Errorf("read ping: %w", err)
	}
	if padding > 0 && ss.guard.admitsPeer() { // strangers make this end write nothing
		ss.probed.Store(&probeAsked{sent, padding})
	}
	first := ss.ping.Swap(&wire.Clock{Ping: sent, Received: ss.monotonicNow()}) == nil
	if ss.guard.needed {
		ss.queueRecord(wire.Auth)
	}
	// A viewer that this end does not know learns no time either.
	if !ss.guard.needed || ss.older.Load() || ss.guard.handshake.Load().Welcomes() {
		ss.queueRecord(wire.Pong)
	}
	if first && ss.older.Load() {
		ss.partFromOlder(ss.offer.hello)
	}
	return nil
}

// writeRecords writes what there is to write: control first, and between any two records of
// frames.
func (ss *senderSession) writeRecords(session context.Context) error {
	for {
		if err := ss.writeDue(); err != nil {
			return err
		}
		if o := ss.schedule.nextStream(); o != nil {
			if err := o.writePiece(); err != nil {
				return err
			}
			continue
		}
		// Before the viewer answers, padding would only add to what it is behind.
		if ss.peer.Load() != nil {
			if err := ss.writePadding(); err != nil {
				return err
			}
		}
		select {
		case <-ss.wake:
		case <-session.Done():
			return nil
		}
	}
}

// writeControl implements side.
func (ss *senderSession) writeControl(t wire.Type) error {
	switch t {
	case wire.Hello:
		return ss.writeRecord(wire.Header{Type: t}, encodeMessage(ss.offer.hello))
	case wire.Pong:
		return ss.writePong()
	case wire.Camera:
		return ss.writeCamera()
	}
	return nil
}

// writeStreams implements side.
func (ss *senderSession) writeStreams() error {
	for i := range ss.streams {
		if o := ss.streams[i].Load(); o != nil {
			if err := o.due.writeDue(o.writeControl); err != nil {
				return err
			}
		}
	}
	return nil
}

// writePong answers a Ping, and repeats what the viewer must know.
func (ss *senderSession) writePong() error {
	counts := ss.counts[:0]
	for i := range ss.streams {
		if o := ss.streams[i].Load(); o != nil {
			counts = append(counts, wire.Count{Stream: o.streamID(), Frames: o.sent})
			o.repeatState()
		}
	}
	ss.counts = counts
	clock, skew := *ss.ping.Load(), ss.sender.clockSkew()
	if err := ss.answerProbe(clock.Ping); err != nil {
		return err
	}
	clock.Received += skew
	clock.Pong = ss.monotonicNow() + skew
	payload := wire.AppendPong(ss.payload[:0], clock, counts...)
	if ss.older.Load() {
		payload = append(payload, make([]byte, 8)...) // frames of its only stream
	}
	return ss.writeRecord(wire.Header{Type: wire.Pong}, payload)
}
