package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// helloWaits are the waits after each Hello of an opening. What is sent to a device
// whose peer has not opened may be lost, do harm, or put that peer behind: so they
// are few, and where none was answered the sender closes the device for a while. It
// does so soon after the last one: a viewer that opens in between hears nothing.
var helloWaits = [...]time.Duration{
	250 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, time.Second, time.Second, time.Second, 250 * time.Millisecond,
}

// drainWait is how long a sender whose producer has ended waits until the viewer has
// read all of it.
const drainWait = 10 * time.Second

// Unit is a frame ready for the wire, with what describes it.
type Unit struct {
	Frame *capture.Frame
	Info  *Mode        // the same pointer as long as nothing in it changes
	Lost  capture.Lost // totals of the Producer when it was taken
}

// Producer is what a Sender serves: the cameras of this host. Its methods are called
// by different goroutines of a session; none but Next and Cameras may wait for a
// camera.
type Producer interface {
	// Start requests frames, or other ones; Stop ends that. A Mode and a
	// Status that answer it carry the number of the request.
	Start(number uint32, want capture.Want)
	Stop()
	// Next waits for the newest frame, which the caller then owns. It is
	// called only when that can be sent immediately. It returns io.EOF after the
	// last one, and another error when the cameras cannot be used.
	Next(ctx context.Context) (Unit, error)
	// Lost counts the frames that were lost since the producer was made. It grows also
	// while Next returns none.
	Lost() capture.Lost
	// Cameras lists what there is, and may take a while.
	Cameras() []capture.Device
}

// Sender offers sessions on a Link, one after the other, and serves a Producer.
type Sender struct {
	Link     Link
	Producer Producer
	// Program and Version name this end to the viewer; without a Program it is
	// "sender".
	Program, Version string
	Log              *slog.Logger // nil discards

	// Sent, if set, is called with every frame that was written, before its release.
	Sent func(*capture.Frame)
	// SetControl, if set, sets a control of the camera for the viewer, and returns
	// what was granted, which was reported before. It may take a while. Without it
	// there is no remote control.
	SetControl func(capture.Setting) (capture.Setting, error)

	current   atomic.Pointer[senderSession]
	controls  atomic.Pointer[Controls]
	status    atomic.Pointer[Status]
	pace      pace      // of applySettings
	modes     allowance // of all sessions: each begins with a mode
	announced bool      // it was logged that no viewer answers
}

// Report sends the stream's state to the viewer, now and when one connects.
func (s *Sender) Report(status Status) {
	status = status.bounded()
	s.status.Store(&status)
	if ss := s.current.Load(); ss != nil && ss.peer.Load() != nil {
		ss.queue(wire.Status)
	}
}

// Run serves until the context or the producer ends, and then closes the session.
// Its error is the producer's, unless that is io.EOF, or one that waiting cannot fix.
func (s *Sender) Run(ctx context.Context) error {
	s.Log = orDiscard(s.Log)
	return serveSessions(ctx, s.Link, s.Log, s.serve)
}

// serve runs one session and returns why it ended.
func (s *Sender) serve(ctx context.Context, conn Conn) error {
	ss := newSenderSession(s, conn)
	s.current.Store(ss)
	err := ss.run(ctx, ss.sendHellos, ss.read, ss.write, ss.listCameras, ss.forwardRequests, ss.applySettings,
		func(session context.Context) error { return ss.pumpUnits(ctx, session) },
		func(session context.Context) error {
			return ss.leaveWhenDone(ctx, session, ss.welcome, s.program()+" was closed")
		},
	)
	s.current.Store(nil)
	s.Producer.Stop()
	s.logDisconnect(ss, err)
	return ss.runError(err)
}

// logDisconnect logs that a viewer left, or once that none is there.
func (s *Sender) logDisconnect(ss *senderSession, err error) {
	if peer := ss.peer.Load(); peer != nil {
		s.announced = false
		s.Log.Info(fmt.Sprintf("viewer disconnected: %v", err), "frames", ss.sent)
	} else if !s.announced && errors.Is(err, ErrPeerDead) {
		s.announced = true
		s.Log.Info("waiting for a viewer: no answer", "stream", s.Link.String())
	}
}

func (s *Sender) program() string { return cmp.Or(s.Program, "sender") }

// senderSession is the sender's side of one session.
type senderSession struct {
	*session
	sender *Sender

	welcome     chan struct{}        // closed when the viewer accepted
	peer        atomic.Pointer[Peer] // nil until then
	producerErr error                // of pumpUnits: what the producer ended with

	credit  atomic.Uint64 // frames that may be sent in all
	granted chan struct{} // the credit has grown

	// From pumpUnits to the writer and back, one at a time. Neither is ever closed.
	units   chan Unit
	written chan bool // or it was dropped

	ping    atomic.Pointer[wire.Clock] // the last one that was read
	lists   chan struct{}              // the viewer asks for the cameras
	cameras atomic.Pointer[[][]byte]   // a list for the writer to begin with
	request uint32                     // of the reader: number of the last Start or Stop
	wanted  atomic.Pointer[request]    // the newest Start, or Stop, that the producer has not got yet
	wants   chan struct{}              // there is one
	base    atomic.Pointer[lostTotals] // of the feed at the first Start, nil before
	remote  remote

	// Of the writer.
	sent uint64   // frames that were written
	fast uint32   // frames that were dropped, since their mode changed too often
	mode Mode     // the last one that was announced
	info *Mode    // what that was made from
	rest [][]byte // cameras still to be sent
}

func newSenderSession(s *Sender, conn Conn) *senderSession {
	ss := &senderSession{
		session: newSession(conn, s.Link), sender: s,
		welcome: make(chan struct{}), granted: make(chan struct{}, 1), lists: make(chan struct{}, 1), wants: make(chan struct{}, 1),
		units: make(chan Unit), written: make(chan bool, 1),
		remote: remote{newSet: make(chan struct{}, 1)},
	}
	ss.remote.number.Store(1)
	ss.id.Store(max(1, rand.Uint32()))
	ss.compose, ss.lag = ss.writeOwn, lagOfViewer
	return ss
}

// runError returns the error of Run where the session was the last one. A producer
// that has ended was served only if the viewer has acknowledged that.
func (ss *senderSession) runError(err error) error {
	switch {
	case ss.producerErr == nil:
		return err
	case !errors.Is(ss.producerErr, io.EOF):
		return &ended{ss.producerErr}
	case errors.Is(err, errByeAcked) || ss.bye != nil:
		return &ended{}
	}
	return &ended{fmt.Errorf("end the stream: the viewer may miss the last frames: %w", err)}
}

// sendHellos sends Hello until it is answered, or often enough.
func (ss *senderSession) sendHellos(session context.Context) error {
	for _, wait := range helloWaits {
		ss.queue(wire.Hello)
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

func (ss *senderSession) read(context.Context) error { return ss.readAll(ss.handle) }

// handle acts on one record. Unknown types are for later versions: ignored.
func (ss *senderSession) handle(h wire.Header, payload []byte) error {
	switch {
	case h.Type == wire.Hello:
		return errors.New("it is a sender, too")
	case h.Type == wire.Welcome:
		return ss.handleWelcome(h, payload)
	case ss.peer.Load() == nil:
		return nil
	}
	switch h.Type {
	case wire.Ping:
		return ss.handlePing(payload)
	case wire.Start, wire.Stop:
		return ss.handleRequest(h, payload)
	case wire.Credit:
		return ss.handleCredit(payload)
	case wire.List:
		notify(ss.lists)
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
	ss.remote.can.Store(ss.sender.SetControl != nil && slices.Contains(peer.Features, FeatureControls))
	if ss.peer.Swap(&peer) == nil { // or it answered one more Hello
		close(ss.welcome)
		ss.sender.Log.Info(fmt.Sprintf("viewer connected: %v", peer))
	}
	return nil
}

func (ss *senderSession) handlePing(payload []byte) error {
	sent, err := wire.ParsePing(payload)
	if err != nil {
		return fmt.Errorf("read ping: %w", err)
	}
	ss.ping.Store(&wire.Clock{Ping: sent, Received: ss.now()})
	ss.queue(wire.Pong)
	return nil
}

func (ss *senderSession) handleRequest(h wire.Header, payload []byte) error {
	r, err := parseRequest(h, payload)
	if err != nil || r.Number <= ss.request {
		return err
	}
	ss.request = r.Number
	r.stop = h.Type == wire.Stop
	ss.sender.modes.request(ownModeLimit)
	ss.wanted.Store(&r)
	notify(ss.wants)
	return nil
}

// forwardRequests passes the viewer's requests to the producer: of those that come
// meanwhile, only the newest.
func (ss *senderSession) forwardRequests(session context.Context) error {
	for {
		select {
		case <-ss.wants:
		case <-session.Done():
			return nil
		}
		r := ss.wanted.Load()
		if r.stop {
			ss.sender.Producer.Stop()
			continue
		}
		if ss.base.Load() == nil {
			base := totalsOf(ss.sender.Producer.Lost())
			ss.base.Store(&base)
		}
		ss.sender.Producer.Start(r.Number, r.Want)
	}
}

func (ss *senderSession) handleCredit(payload []byte) error {
	total, err := wire.ParseCredit(payload)
	if err != nil {
		return fmt.Errorf("read credit: %w", err)
	}
	ss.credit.Store(max(total, ss.credit.Load()))
	notify(ss.granted)
	return nil
}

// listCameras finds the cameras when the viewer asks. What it asks meanwhile has the
// same answer.
func (ss *senderSession) listCameras(session context.Context) error {
	for {
		select {
		case <-ss.lists:
		case <-session.Done():
			return nil
		}
		payloads := ss.encodeCameras(ss.sender.Producer.Cameras())
		select {
		case <-ss.lists:
		default:
		}
		ss.cameras.Store(&payloads)
		ss.queue(wire.Camera)
	}
}

// encodeCameras returns the payloads of the Camera records, the last of them empty.
func (ss *senderSession) encodeCameras(cameras []capture.Device) [][]byte {
	var payloads [][]byte
	for _, c := range cameras[:min(len(cameras), maxCameras)] {
		payload := encode(c)
		if len(payload) > wire.MaxPayload {
			ss.sender.Log.Warn("a camera has too many modes and controls to list", "camera", c.Name)
			continue
		}
		payloads = append(payloads, payload)
	}
	return append(payloads, nil)
}

// pumpUnits hands the newest frame to the writer whenever the viewer has room for one
// and the link is free, so that what cannot be sent grows old in the producer, where
// a newer one takes its place.
func (ss *senderSession) pumpUnits(ctx, session context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(session, cancel)()
	for taken := uint64(0); ; {
		unit, err := ss.takeUnit(ctx, taken)
		if ctx.Err() != nil && err != nil {
			ss.noteEnd(ctx, err)
			return nil // leaveWhenDone sends the Bye
		}
		if err != nil {
			return ss.endOfUnits(session, err)
		}
		select {
		case ss.units <- unit:
		case <-session.Done():
			unit.Frame.Release()
			return nil
		}
		select {
		case written := <-ss.written:
			if written {
				taken++
			}
		case <-session.Done():
			return nil
		}
	}
}

func (ss *senderSession) takeUnit(ctx context.Context, taken uint64) (Unit, error) {
	for ss.credit.Load() <= taken {
		select {
		case <-ss.granted:
		case <-ctx.Done():
			return Unit{}, ctx.Err()
		}
	}
	return ss.sender.Producer.Next(ctx)
}

// noteEnd notes the end of a producer that came together with the session's: else
// the sender would offer another session, in which there is nothing to send.
func (ss *senderSession) noteEnd(ctx context.Context, err error) {
	if !errors.Is(err, ctx.Err()) {
		ss.producerErr = err
	}
}

func (ss *senderSession) endOfUnits(session context.Context, err error) error {
	ss.producerErr = err
	reason := "all frames were sent"
	if !errors.Is(err, io.EOF) {
		reason = err.Error()
	}
	return ss.sendBye(session, reason, drainWait)
}

// write writes what there is to write, control first.
func (ss *senderSession) write(session context.Context) error {
	for {
		if err := ss.writeDue(); err != nil {
			return err
		}
		// Before the viewer answers, padding would only add to what it is behind.
		if ss.peer.Load() != nil {
			if err := ss.writePadding(); err != nil {
				return err
			}
		}
		select {
		case <-ss.wake:
		case p := <-ss.units:
			sent := ss.sent
			if err := ss.writeUnit(p); err != nil {
				return err
			}
			ss.written <- ss.sent > sent
		case <-session.Done():
			return nil
		}
	}
}

// writeOwn writes a control record of the sender's.
func (ss *senderSession) writeOwn(t wire.Type) error {
	switch t {
	case wire.Hello:
		return ss.writeRecord(wire.Header{Type: t}, encode(ownPeer(ss.sender.program(), ss.sender.Version, ss.sender.features()...)))
	case wire.Pong:
		return ss.writePong()
	case wire.Camera:
		return ss.writeCamera()
	case wire.Mode:
		if ss.info != nil {
			return ss.writeRecord(wire.Header{Type: t, Stream: VideoStream}, encode(ss.mode))
		}
	case wire.Status:
		if status := ss.sender.status.Load(); status != nil {
			message := statusMessage{*status, ss.lostTotals(ss.sender.Producer.Lost())}
			return ss.writeRecord(wire.Header{Type: t, Stream: VideoStream}, encode(message))
		}
	case wire.Controls:
		return ss.writeControls()
	}
	return nil
}

// lostTotals returns what was lost since the session's first Start; lost are the
// feed's totals. Only the writer may call it.
func (ss *senderSession) lostTotals(lost capture.Lost) lostTotals {
	base := ss.base.Load()
	if base == nil {
		return lostTotals{}
	}
	totals := totalsOf(lost).since(*base)
	totals.Superseded += ss.fast
	return totals
}

// writePong answers a Ping, and repeats what the viewer must know.
func (ss *senderSession) writePong() error {
	ss.queue(wire.Mode)
	ss.queue(wire.Status)
	clock := *ss.ping.Load()
	clock.Pong = ss.now()
	return ss.writeRecord(wire.Header{Type: wire.Pong, Stream: VideoStream}, wire.AppendPong(ss.payload[:0], clock, ss.sent))
}

// writeCamera writes the next camera of the list, so that pieces of frames pass
// between two.
func (ss *senderSession) writeCamera() error {
	var flags wire.Flags
	if list := ss.cameras.Swap(nil); list != nil {
		ss.rest, flags = *list, wire.First
	}
	if len(ss.rest) == 0 {
		return nil
	}
	payload := ss.rest[0]
	if ss.rest = ss.rest[1:]; len(ss.rest) == 0 {
		flags |= wire.Last
	} else {
		ss.queue(wire.Camera)
	}
	return ss.writeRecord(wire.Header{Type: wire.Camera, Flags: flags}, payload)
}

// writeUnit writes a frame, after its mode if that is new. One whose mode changes more
// often than the viewer accepts is dropped.
func (ss *senderSession) writeUnit(p Unit) error {
	defer p.Frame.Release()
	if p.Info != ss.info {
		if !ss.sender.modes.take(ownModeLimit) {
			ss.fast++
			return nil
		}
		number := ss.mode.Number + 1
		ss.info, ss.mode = p.Info, *p.Info
		ss.mode.Number = number
		if err := ss.writeOwn(wire.Mode); err != nil {
			return err
		}
	}
	return ss.writeFrame(p)
}

// writeFrame writes a frame in records of the largest size; control records go
// between them.
func (ss *senderSession) writeFrame(p Unit) error {
	p.Frame.At[capture.Sent] = time.Now()
	meta := ss.frameHeader(p)
	head, data := meta.Append(ss.payload[:0]), p.Frame.Data
	h := wire.Header{Type: wire.Frame, Flags: wire.First, Stream: VideoStream}
	for {
		n := min(len(data), wire.MaxPayload-len(head))
		if n == len(data) {
			h.Flags |= wire.Last
		}
		if err := ss.writeRecord(h, head, data[:n]); err != nil {
			return err
		}
		if n == len(data) {
			break
		}
		h.Flags, head, data = 0, nil, data[n:]
		if err := ss.writeDue(); err != nil {
			return err
		}
	}
	ss.sent++
	if ss.sender.Sent != nil {
		ss.sender.Sent(p.Frame)
	}
	return nil
}

// micros returns the microseconds between two times, at least 1, or 0 where one is
// not known.
func micros(from, to time.Time) uint32 {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return uint32(min(max(to.Sub(from).Microseconds(), 1), math.MaxUint32))
}

func (ss *senderSession) frameHeader(p Unit) wire.FrameHeader {
	at, lost := p.Frame.At, ss.lostTotals(p.Lost)
	return wire.FrameHeader{
		Index:          ss.sent,
		Sequence:       p.Frame.Sequence,
		Mode:           ss.mode.Number,
		Size:           uint32(len(p.Frame.Data)),
		Encoding:       micros(at[capture.Taken], at[capture.Encoded]),
		Captured:       ss.line.nanos(at[capture.Captured]),
		Dequeued:       ss.line.nanos(at[capture.Dequeued]),
		Encoded:        ss.line.nanos(at[capture.Encoded]),
		Sent:           ss.line.nanos(at[capture.Sent]),
		LostDriver:     lost.Driver,
		LostDamaged:    lost.Damaged,
		LostSuperseded: lost.Superseded,
	}
}
