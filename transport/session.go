package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/transport/wire"
)

// Times of a session.
const (
	pingEvery = 500 * time.Millisecond
	// liveness is how long a peer may say nothing before it is taken for dead.
	liveness = 2 * time.Second
	// byeWait is how long the end waits for the peer to have read everything.
	byeWait = time.Second
)

// controlQueue bounds the control records that wait to be written. A peer that
// asks for more than it reads is ended.
const controlQueue = 64

// ErrPeerDead says that nothing was heard from the peer for too long.
var ErrPeerDead = errors.New("the peer is silent")

var errFlood = errors.New("the peer asks for more than it reads")

// byeError ends a session in order.
type byeError struct{ reason string }

func (e *byeError) Error() string { return "the peer said goodbye: " + e.reason }

// record is a control record that waits to be written.
type record struct {
	header  wire.Header // Type, Flags and Stream
	payload []byte
}

// session is what both sides of one have: numbered records out, records of this
// session in, and a watch on the peer's life.
//
// One goroutine writes; it alone may call write. One reads; it alone may call
// next. send may be called by any.
type session struct {
	conn   Conn
	reader *wire.Reader
	line   timeline
	id     uint32 // 0 until known

	control chan record   // never closed; dropped with the session
	heard   atomic.Int64  // when a record came, on line
	stale   atomic.Uint64 // records of other sessions

	bye *byeError // of the peer; set before its ByeAck is queued

	out     uint32   // sequence of the next record to write
	scratch []byte   // of the writer, for headers
	pieces  [][]byte // of the writer, what one record is made of

	in     uint32 // sequence that the next record should have
	gap    bool   // records are missing before the one that next returned
	inited bool   // in is known
}

func newSession(conn Conn, line timeline) *session {
	s := &session{
		conn: conn, reader: wire.NewReader(conn), line: line,
		control: make(chan record, controlQueue),
		scratch: make([]byte, 0, wire.HeaderSize+wire.FrameHeaderSize),
		pieces:  make([][]byte, 0, 2),
	}
	s.touch()
	return s
}

func (s *session) now() int64 { return s.line.nanos(time.Now()) }

func (s *session) touch() { s.heard.Store(s.now()) }

// send queues a control record. It never blocks.
func (s *session) send(h wire.Header, payload []byte) error {
	select {
	case s.control <- record{h, payload}:
		return nil
	default:
		return errFlood
	}
}

// next returns the next record of this session, and whether records before it
// are missing. The payload is valid until the next call.
func (s *session) next() (wire.Header, []byte, error) {
	for {
		h, payload, err := s.reader.Next()
		switch {
		case err != nil:
			return h, nil, err
		case s.id != 0 && h.Session != s.id:
			s.stale.Add(1)
			if h.Type == wire.Hello {
				return h, nil, errors.New("the peer began another session")
			}
			continue
		}
		s.touch()
		s.gap = s.inited && h.Sequence != s.in
		s.in, s.inited = h.Sequence+1, true
		return h, payload, nil
	}
}

// write writes one control record.
func (s *session) write(r record) error {
	if r.header.Type == wire.Pong {
		// The time is put in as late as can be, behind what was queued before.
		r.payload = stampPong(r.payload, s.now())
	}
	err := s.writePieces(r.header, r.payload)
	if err == nil && r.header.Type == wire.ByeAck {
		return s.bye
	}
	return err
}

// returnBye answers the peer's goodbye; the session ends when that is written.
func (s *session) returnBye(reason []byte) error {
	s.bye = &byeError{printable(string(reason), maxReason)}
	return s.send(wire.Header{Type: wire.ByeAck}, nil)
}

// writePieces writes one record in one call.
func (s *session) writePieces(h wire.Header, first []byte, more ...[]byte) error {
	h.Session, h.Sequence = s.id, s.out
	s.out++
	body := append(append(s.pieces[:0], nil, first), more...)
	body[0] = wire.AppendHeader(s.scratch[:0], h, body[1:]...)
	return s.conn.WriteBuffers(body)
}

// writeControl writes all control records that wait.
func (s *session) writeControl() error {
	for {
		select {
		case r := <-s.control:
			if err := s.write(r); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// watch ends with ErrPeerDead when nothing was heard for too long.
func (s *session) watch(ctx context.Context) error {
	for {
		silent := time.Duration(s.now() - s.heard.Load())
		if silent >= liveness {
			return fmt.Errorf("%w for %v", ErrPeerDead, liveness)
		}
		if err := sleep(ctx, liveness-silent); err != nil {
			return nil
		}
	}
}

func stampPong(payload []byte, now int64) []byte {
	c, sent, err := wire.ParsePong(payload)
	if err != nil {
		return payload
	}
	c.Pong = now
	return wire.AppendPong(payload[:0], c, sent)
}

// self is what this program says of itself.
func self(program, version string) Peer {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Peer{Program: program, Version: version, Host: host, Protocol: [2]int{Protocol, Protocol}}
}
