package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/wire"
)

// MaxStreams is how many streams a session may have, numbered from 1.
const MaxStreams = wire.MaxStreams

// Times of a session.
const (
	pingEvery = 500 * time.Millisecond
	// liveness is how long a peer may be silent before the session ends.
	liveness = 2 * time.Second
	// answerWait is how long a sender may be silent on a device after a Hello: that may be
	// left over from one that has closed, and whose CLOSE is not seen.
	answerWait = time.Second
	// stillness is how long nothing may come on a device between two records. After
	// more than that a host slept, whose driver may have lost count of as many packets
	// as a ring holds when it woke: more than padding makes up for.
	stillness = 1250 * time.Millisecond
	// byeWait is how long an end waits for the answer to its Bye.
	byeWait = time.Second
	// maxPause is the longest wait after a protocol violation or an older peer; the first
	// is minPause, and every further one in a row twice the last.
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

var (
	// ErrPeerDead is returned when the peer was silent for too long.
	ErrPeerDead = errors.New("no answer from the peer")
	// ErrProtocol is returned when the peer does what SPEC.md forbids.
	ErrProtocol = errors.New("protocol violation")
)

// How a session ends in order.
var (
	errByeAcked      = errors.New("closed by this side")
	errByeUnanswered = errors.New("closed, without an answer")
)

// errStale is returned when a device holds what belongs to an older session. How much
// is lost in it cannot be known: only closing it helps.
var errStale = errors.New("the device held bytes of an older session")

// errStill is returned when the device carried nothing for longer than stillness.
var errStill = errors.New("the stream was suspended")

// byeError is the reason in the peer's Bye.
type byeError struct{ reason string }

func (e *byeError) Error() string { return e.reason }

// endedError ends a Run, with an error or none.
type endedError struct{ err error }

// orDiscard returns a logger that can be used.
func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

func (e *endedError) Error() string { return fmt.Sprintf("ended: %v", e.err) }

// serveSessions opens the link and serves a session on it, repeatedly, until the
// context ends or serve returns an endedError. serve closes the connection. prepare is called
// before each opening, and must not wait.
func serveSessions(ctx context.Context, link Link, log *slog.Logger, prepare func(), serve func(context.Context, Conn) error) error {
	pause, logged, refused := minPause, "", time.Time{}
	for {
		prepare()
		conn, err := link.Open(ctx)
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		err = serve(ctx, conn)
		if end := (*endedError)(nil); errors.As(err, &end) {
			return end.err
		}
		log.Debug("session ended", "err", err)
		switch {
		case errors.Is(err, ErrProtocol), errors.Is(err, ErrOlderPeer):
			if err.Error() != logged {
				logged = err.Error()
				log.Warn("session failed", "err", err)
			}
		case isRefusal(err):
			if refused.IsZero() || time.Since(refused) >= refusedEvery {
				refused = time.Now()
				log.Warn("not paired", "err", err)
			}
		default:
			pause, logged = minPause, ""
			continue
		}
		if Sleep(ctx, pause) != nil {
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

// session is what both sides of one have: numbered records out, records of this
// session in, and a watch on the peer's life. It knows no stream.
//
// One goroutine writes; it alone may call the methods that begin with write. One
// reads; it alone may call those that begin with read.
//
// Control is state, not messages: any goroutine may queue a record,
// and the writer makes it from what holds when it writes. So control needs no
// queue, a peer that asks faster than it reads gets fewer answers, and what was
// lost on the way is repeated with the next heartbeat.
type session struct {
	conn   Conn
	reader *wire.Reader
	line   timeline
	id     atomic.Uint32 // 0 until known
	link   Properties
	guard  guard
	plain  atomic.Bool // the peer sends plain MJPEG; nothing is written to it
	older  atomic.Bool // the peer has only an older protocol
	parts  *errgroup.Group
	ctx    context.Context // of the parts; done when one of them has ended the session

	due      atomic.Uint32          // bit t: a record of type t is due
	wake     chan struct{}          // something became due
	lastRead atomic.Int64           // when a record came, on line
	limit    atomic.Int64           // how long none may come, in nanoseconds
	farewell atomic.Pointer[string] // why this side ends the session, nil if it does not
	bye      *byeError              // of the peer; set before the ByeAck is due

	// Of the writer.
	out     uint32                     // sequence of the next record
	lag     int                        // packets by which the peer may be behind
	padded  bool                       // nothing was written since the last padding
	header  [wire.HeaderSize]byte      // room for it
	payload [wire.FrameHeaderSize]byte // room for one without text, or its beginning
	pieces  [][]byte                   // what one call writes
	batch   []byte                     // control records for the next flush; never grows
	side    side

	// Of the reader.
	in     uint32 // sequence that the next record should have
	gap    bool   // records are missing before the last one
	missed bool   // records of the session were missing at some time
	stale  uint64 // records of other sessions, and repeated ones
}

// side writes what only one side of a session has. The writer calls it.
type side interface {
	// writeControl writes a record of the session, in stream 0.
	writeControl(t wire.Type) error
	// writeStreams writes the control records of streams that are due.
	writeStreams() error
	// proves reports whether this end's Flight is for an Auth record.
	proves() bool
	// placeOf returns room for n bytes of a frame's piece, where they belong; nil if
	// there is none. The reader calls it.
	placeOf(h wire.Header, n int) []byte
}

func newSession(conn Conn, link Link) *session {
	s := &session{
		conn: conn, reader: newReader(conn, link.Properties()), line: newTimeline(), link: link.Properties(), padded: true,
		wake: make(chan struct{}, 1), pieces: make([][]byte, 0, 3), batch: make([]byte, 0, batchSize),
	}
	s.parts, s.ctx = errgroup.WithContext(context.Background())
	s.limit.Store(int64(liveness))
	s.touchLastHeard()
	return s
}

func newReader(src io.Reader, link Properties) *wire.Reader {
	if link.Checksums {
		return wire.NewReader(src)
	}
	return wire.NewDirectReader(src)
}

// runParts runs the parts of a session until one of them ends it, and closes the
// connection. The parts end when their context does.
func (s *session) runParts(parts ...func(context.Context) error) error {
	s.startPart(func(session context.Context) error {
		<-session.Done()
		return s.conn.Close()
	})
	for _, part := range parts {
		s.startPart(part)
	}
	err := s.parts.Wait()
	s.guard.close()
	switch refused := s.guard.refusal.Load(); {
	case refused != nil:
		return *refused // and not how the peer took it
	case s.older.Load():
		return ErrOlderPeer // however it took that
	case s.bye != nil && s.bye.reason == refusal:
		return fmt.Errorf("%w: %w", trust.ErrPeerRefused, s.bye)
	case s.bye != nil:
		return s.bye // also if the peer did not wait for its answer
	}
	return err
}

// startPart runs one more part. Only a part may call it once run was called.
func (s *session) startPart(part func(context.Context) error) {
	s.parts.Go(func() error { return part(s.ctx) })
}

func (s *session) monotonicNow() int64 { return s.line.nanosOf(time.Now()) }

func (s *session) touchLastHeard() { s.lastRead.Store(s.monotonicNow()) }

// silentFor is how long no record came.
func (s *session) silentFor() time.Duration {
	return time.Duration(s.monotonicNow() - s.lastRead.Load())
}

// watchLiveness ends the session when nothing was read for too long.
func (s *session) watchLiveness(session context.Context) error {
	for {
		silent := s.silentFor()
		if s.plain.Load() {
			return nil // it may be silent for as long as it likes
		}
		limit := time.Duration(s.limit.Load())
		if silent >= limit {
			return fmt.Errorf("%w for %v", ErrPeerDead, limit)
		}
		if Sleep(session, nextLook(silent, limit)) != nil {
			return nil
		}
	}
}

// nextLook returns how long to wait until a peer that was silent for a time is dead. One
// that lives is looked at halfway between two heartbeats: a timer that expires when one is
// due may do so a moment before it, again and again, and wakes the process up each time.
func nextLook(silent, limit time.Duration) time.Duration {
	if wait := limit - silent - pingEvery/2; silent <= pingEvery && wait > 0 {
		return wait
	}
	return limit - silent
}

// queueRecord makes a record due. It never blocks.
func (s *session) queueRecord(t wire.Type) {
	s.due.Or(1 << t)
	notifyOne(s.wake)
}

// dueRecords are the control records of a stream that are due, as session.due has those
// of the session.
type dueRecords struct{ bits atomic.Uint32 }

// writeDue writes them in the order of their types, in which what must be first is first.
func (d *dueRecords) writeDue(write func(wire.Type) error) error {
	for due := d.bits.Swap(0); due != 0; due &= due - 1 {
		if err := write(wire.Type(bits.TrailingZeros32(due))); err != nil {
			return err
		}
	}
	return nil
}

// notifyOne leaves a token in a channel of one, if none is there.
func notifyOne(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readAll hands the records to handle until the session ends.
func (s *session) readAll(handle func(wire.Header, []byte) error) error {
	for {
		h, payload, err := s.readNext()
		switch {
		case errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrHostile):
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		case err != nil:
			return err
		case h.Type == wire.Bye:
			s.readBye(payload)
		case h.Type == wire.ByeAck && s.farewell.Load() != nil:
			return errByeAcked
		default:
			if err := handle(h, payload); err != nil {
				return fmt.Errorf("%w: %w", ErrProtocol, err)
			}
		}
	}
}

// readNext returns the next record of this session, or a Hello of any. The
// payload is valid until the next call. Records that were read already are
// passed over, as are those of later and older versions.
func (s *session) readNext() (wire.Header, []byte, error) {
	for {
		h, payload, err := s.reader.Next()
		if err != nil {
			return h, nil, err
		}
		ours := h.Session == s.id.Load()
		if ours && int32(h.Sequence-s.in) < 0 || !ours && h.Type != wire.Hello {
			s.stale++
			if s.link.Stale && !ours {
				return h, nil, errStale
			}
			continue
		}
		payload, counts, err := s.unseal(h, payload, ours)
		if err != nil {
			return h, nil, err
		}
		if !counts {
			continue
		}
		if s.link.Checksums && h.Flags&wire.Unchecked != 0 {
			return h, nil, fmt.Errorf("%w: it sends %v without the checksum that this link needs", ErrProtocol, h.Type)
		}
		if s.link.Stillness && s.in != 0 && s.silentFor() > stillness {
			return h, nil, errStill
		}
		s.touchLastHeard()
		s.gap = ours && h.Sequence != s.in
		s.missed = s.missed || s.gap
		s.in = h.Sequence + 1
		if h.Type <= wire.Auth && (h.Version == 0 || !belongsToStream(h.Type)) { // or it is of another version
			return h, payload, checkStream(h)
		}
	}
}

// belongsToStream reports whether records of a type belong to a stream; the others
// belong to the session.
func belongsToStream(t wire.Type) bool {
	switch t {
	case wire.Start, wire.Stop, wire.Credit, wire.Mode, wire.Frame, wire.Status, wire.Set, wire.Controls:
		return true
	}
	return false
}

// checkStream checks that a record is in a stream where its type belongs.
func checkStream(h wire.Header) error {
	least, most := uint16(0), uint16(0)
	if belongsToStream(h.Type) {
		least, most = 1, MaxStreams
	}
	if h.Version == 0 && (h.Stream < least || h.Stream > most) {
		return fmt.Errorf("%w: it sends %v in stream %d", ErrProtocol, h.Type, h.Stream)
	}
	return nil
}

// readBye has the peer's Bye answered; the session ends when that is written.
func (s *session) readBye(reason []byte) {
	if s.bye == nil {
		s.bye = &byeError{cutPrintable(string(reason), maxReason)}
		s.queueRecord(wire.ByeAck)
	}
}

// leaveWhenDone sends a Bye when the context ends, if the peer is known.
func (s *session) leaveWhenDone(ctx, session context.Context, met <-chan struct{}, reason string) error {
	select {
	case <-session.Done():
		return nil
	case <-ctx.Done():
	}
	select {
	case <-met:
		return s.sendBye(session, reason, byeWait)
	default:
		return ctx.Err()
	}
}

// sendBye sends why this end closes the session, and waits until that was read.
func (s *session) sendBye(session context.Context, reason string, wait time.Duration) error {
	s.farewell.CompareAndSwap(nil, &reason)
	s.queueRecord(wire.Bye)
	if Sleep(session, wait) != nil {
		return nil
	}
	return errByeUnanswered
}

// writeDue writes the control records that are due: those of the session in the order
// of their types, in which what must be first is first, then those of its streams, and
// a Bye last. They go in one call, since each call wakes the peer up.
func (s *session) writeDue() error {
	due := s.due.Swap(0)
	// Without the proof the peer cannot open what follows.
	if due&(1<<wire.Auth) != 0 {
		if err := s.writeAuth(); err != nil {
			return err
		}
	}
	for part := due &^ (farewells | 1<<wire.Auth); part != 0; part &= part - 1 {
		if err := s.side.writeControl(wire.Type(bits.TrailingZeros32(part))); err != nil {
			return err
		}
	}
	if err := s.side.writeStreams(); err != nil {
		return err
	}
	if err := s.writeFarewells(due); err != nil {
		return err
	}
	if err := s.flushBatch(); err != nil || due&(1<<wire.ByeAck) == 0 {
		return err
	}
	return s.bye // which is answered now
}

// farewells are the records that come last.
const farewells = 1<<wire.Bye | 1<<wire.ByeAck

func (s *session) writeFarewells(due uint32) error {
	if due&(1<<wire.Bye) != 0 {
		if err := s.writeRecord(wire.Header{Type: wire.Bye}, []byte(*s.farewell.Load())); err != nil {
			return err
		}
	}
	if due&(1<<wire.ByeAck) != 0 {
		return s.writeRecord(wire.Header{Type: wire.ByeAck})
	}
	return nil
}

// batchSize is how many bytes of control records one call writes: more than a heartbeat of
// MaxStreams streams has.
const batchSize = 16 << 10

// writeRecord writes one record, whose payload is the given pieces: a frame's in one call,
// a control record with the next flush of the batch, if it fits in there.
func (s *session) writeRecord(h wire.Header, payload ...[]byte) error {
	h.Session, h.Sequence = s.id.Load(), s.out
	if h.Type == wire.Frame && !s.link.Checksums {
		h.Flags |= wire.Unchecked
	}
	if h.Type == wire.Hello || s.older.Load() {
		h.Version = wire.GreetingVersion
	}
	s.out++
	s.padded = false
	if sealer := s.guard.sealer.Load(); sealer != nil && s.guard.seals(h.Type) {
		return s.writeSealed(sealer, h, payload...)
	}
	return s.writePlain(h, payload...)
}

// writePlain writes a record as it is: in the batch of control records, or behind it.
func (s *session) writePlain(h wire.Header, payload ...[]byte) error {
	head := wire.AppendHeader(s.header[:0], h, payload...)
	if h.Type != wire.Frame && s.addToBatch(head, payload) {
		return nil
	}
	if err := s.flushBatch(); err != nil {
		return err
	}
	s.pieces = append(append(s.pieces[:0], head), payload...)
	return s.conn.WriteBuffers(s.pieces)
}

// addToBatch copies a record into the batch, and reports whether there was room for it.
func (s *session) addToBatch(head []byte, payload [][]byte) bool {
	size := len(head)
	for _, p := range payload {
		size += len(p)
	}
	if size > cap(s.batch)-len(s.batch) {
		return false
	}
	s.batch = append(s.batch, head...)
	for _, p := range payload {
		s.batch = append(s.batch, p...)
	}
	return true
}

// flushBatch writes the control records that wait for it.
func (s *session) flushBatch() error {
	if len(s.batch) == 0 {
		return nil
	}
	s.pieces = append(s.pieces[:0], s.batch)
	s.batch = s.batch[:0]
	return s.conn.WriteBuffers(s.pieces)
}

// How many packets a reader may be behind: the driver loses count of those that
// arrive during open(2), and hands them over only when as many more have come
// (drivers/thunderbolt/stream.c of Linux 7.2, tbstream_dev_alloc_rx_buffers).
const (
	// A viewer: by the Hellos of one opening, and a CLOSE that was still on its way.
	lagOfViewer = len(helloWaits) + 1
	// A sender: by a CLOSE. All else is of an older session, and with the first packet
	// that is counted it ends this one. More padding would fill a small ring while
	// the sender's device is closed: then it opens one that never shows anything.
	lagOfSender = 1
)

// padder is a Conn that writes packets, of which the peer may be behind.
type padder interface {
	// Pad writes n packets of one zero byte, which are no part of any record.
	Pad(n int) error
}

// writePadding pushes what was written through to a peer that is behind. It is
// called when nothing more is to be written for now.
func (s *session) writePadding() error {
	p, ok := s.conn.(padder)
	if !ok || s.padded || s.due.Load() != 0 {
		return nil
	}
	s.padded = true
	return p.Pad(s.lag)
}

// ownPeer describes this program.
func ownPeer(program, version string, features ...string) Peer {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Peer{Program: program, Version: version, Host: host, Protocol: [2]int{oldest, Protocol}, Features: features}
}
