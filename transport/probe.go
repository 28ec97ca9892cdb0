package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tbcam/tbcam/transport/wire"
)

// FeatureProbe is the feature of senders that answer a Ping with the padding it asks for.
const FeatureProbe = "probe"

// MaxProbe is how many bytes of padding an exchange of Receiver.Probe may have each way.
const MaxProbe = wire.MaxPadding

// Errors of Receiver.Probe.
var (
	// ErrNoProbe is returned when the sender does not measure lines.
	ErrNoProbe = errors.New("the sender cannot measure the line")
	// ErrNoSession is returned when there is no session, or no longer.
	ErrNoSession = errors.New("no session with a sender")
	// ErrProbing is returned while another exchange is under way.
	ErrProbing = errors.New("the line is measured already")
)

// Exchange is what one Ping and its Pong have shown of the line.
type Exchange struct {
	RoundTrip time.Duration // of the two, without the sender's own time
	Took      time.Duration // from the first byte of padding that was written to the Pong
	Padding   int           // bytes that came before the Pong
}

// probe is an exchange that measures the line.
type probe struct {
	up, down int           // bytes of padding before the Ping, and before its Pong
	begun    int64         // when the first byte was written, on the session's line; 0 before
	sent     int64         // the time in the Ping; 0 before
	done     chan Exchange // closed if the session has ended
}

// Probe measures the line with one exchange: it writes up bytes of padding and a Ping, and
// asks for down bytes of padding before the Pong; each is at most MaxProbe. One that may take
// longer than a session lives in silence ends that: begin with little. There is one exchange
// at a time.
func (r *Receiver) Probe(ctx context.Context, up, down int) (Exchange, error) {
	p := &probe{up: min(up, MaxProbe), down: min(down, MaxProbe), done: make(chan Exchange, 1)}
	if err := r.beginProbe(p); err != nil {
		return Exchange{}, fmt.Errorf("measure the line: %w", err)
	}
	select {
	case x, ok := <-p.done:
		if !ok {
			return x, fmt.Errorf("measure the line: %w", ErrNoSession)
		}
		return x, nil
	case <-ctx.Done():
		r.abandonProbe(p)
		return Exchange{}, fmt.Errorf("measure the line: %w", ctx.Err())
	}
}

// beginProbe has the next Ping measure the line.
func (r *Receiver) beginProbe(p *probe) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current == nil:
		return ErrNoSession
	case !r.current.probing:
		return ErrNoProbe
	case r.probe != nil:
		return ErrProbing
	}
	r.probe = p
	r.current.queueRecord(wire.Ping)
	return nil
}

// abandonProbe forgets an exchange that nobody waits for any more.
func (r *Receiver) abandonProbe(p *probe) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probe == p {
		r.probe = nil
	}
}

// dropProbe ends the exchange of a session that has ended. The caller holds r.mu.
func (r *Receiver) dropProbe() {
	if r.probe != nil {
		close(r.probe.done)
		r.probe = nil
	}
}

// startProbe returns the exchange that the next Ping begins, nil if it is a heartbeat.
func (rs *receiverSession) startProbe() *probe {
	r := rs.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.probe
	if p == nil || p.begun != 0 || r.current != rs {
		return nil
	}
	p.begun = rs.monotonicNow()
	return p
}

// writeProbe writes the viewer's part of an exchange.
func (rs *receiverSession) writeProbe(p *probe) error {
	if err := rs.writeZeros(p.up); err != nil {
		return err
	}
	now := rs.monotonicNow()
	rs.receiver.mu.Lock()
	p.sent = now
	rs.receiver.mu.Unlock()
	return rs.writeRecord(wire.Header{Type: wire.Ping}, wire.AppendProbe(rs.payload[:0], now, p.down))
}

// finishProbe ends the exchange that a Pong answers. Where its own was lost, or replaced by
// that of a later heartbeat, that one ends it: the padding that did not come then is lost.
func (rs *receiverSession) finishProbe(c wire.Clock, arrived int64) {
	padding := rs.reader.Padding() - rs.padding
	rs.padding += padding
	r := rs.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.probe
	if p == nil || p.sent == 0 || c.Ping < p.sent {
		return
	}
	r.probe = nil
	took := time.Duration(arrived - p.begun)
	trip := time.Duration((arrived - c.Ping) - (c.Pong - c.Received))
	p.done <- Exchange{RoundTrip: min(max(trip, 0), took), Took: took, Padding: int(padding)}
}

// probeAsked is the padding that a viewer asks for with the Ping of that time.
type probeAsked struct {
	ping    int64
	padding int
}

// answerProbe writes the padding that was asked for with a Ping, or with one before it.
func (ss *senderSession) answerProbe(ping int64) error {
	p := ss.probed.Load()
	if p == nil || p.ping > ping || !ss.probed.CompareAndSwap(p, nil) {
		return nil
	}
	return ss.writeZeros(p.padding)
}

// zeros is what writeZeros writes in one call. Nobody changes it.
var zeros [wire.MaxRecord]byte

// writeZeros writes padding.
func (s *session) writeZeros(n int) error {
	if err := s.flushBatch(); err != nil {
		return err
	}
	for n > 0 {
		piece := zeros[:min(n, len(zeros))]
		s.pieces = append(s.pieces[:0], piece)
		if err := s.conn.WriteBuffers(s.pieces); err != nil {
			return err
		}
		n -= len(piece)
	}
	return nil
}
