package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/wire"
)

// maxGreetings is how many greetings a viewer answers in one opening with a proof of
// its own: each costs it some cryptography. A sender has one of each opening.
const maxGreetings = 16

// guard keeps a session for a peer that has proven who it is: until then nothing passes
// but the greeting and Auth records, and then nothing that is not sealed. The zero value is that of a link
// which keeps strangers away itself.
type guard struct {
	needed        bool
	wantsUnsealed bool                  // this end asks for frames without seals
	refusal       atomic.Pointer[error] // why this end refuses the peer, nil if it does not
	trusted       atomic.Bool           // both ends want the session
	unsealed      atomic.Bool           // frames have no seals, as one end asks; set before trusted

	handshake atomic.Pointer[trust.Handshake] // nil before a viewer's first Hello
	sealer    atomic.Pointer[trust.Sealer]    // of the writer, from the reader; nil until the peer is proven
	heard     atomic.Bool                     // a sealed record was opened: the peer has the keys

	// Of the reader.
	greetings int
	cancel    context.CancelFunc // ends what waits for the handshake
	opener    *trust.Opener      // nil until the peer is proven
	plain     []byte             // room for the payload of a sealed record
	bound     []byte             // room for what of its header is sealed with it

	// Of the writer.
	sealed     []byte // room for a sealed payload
	sealsBound []byte
}

// close ends the handshake of a session that has ended.
func (g *guard) close() {
	if h := g.handshake.Load(); h != nil {
		h.Close()
	}
}

// features adds to the features of this end what it asks for.
func (g *guard) features(others ...string) []string {
	if g.wantsUnsealed {
		others = append(others, FeatureUnsealedFrames)
	}
	return others
}

// admitsPeer reports whether the peer may have more than the greeting.
func (g *guard) admitsPeer() bool { return !g.needed || g.trusted.Load() }

// greeting are the types that pass without a seal. Once a sealed record has come, only
// those of the next greeting do, and frames where one end has asked for that.
const greeting = 1<<wire.Hello | 1<<wire.Welcome

// seals reports whether records of a type are sealed, once the keys are there.
func (g *guard) seals(t wire.Type) bool {
	return greeting&(1<<t) == 0 && !(t == wire.Frame && g.unsealed.Load())
}

// passesUnsealed reports whether a record without a seal counts.
func (g *guard) passesUnsealed(h wire.Header, ours bool) bool {
	if h.Type == wire.Frame {
		return ours && g.trusted.Load() && g.unsealed.Load()
	}
	return h.Type <= wire.Auth && beforeSeals&(1<<h.Type) != 0 && !(ours && g.heard.Load())
}

// beforeSeals are the types that a peer may send before it has the keys.
const beforeSeals = greeting | 1<<wire.Ping | 1<<wire.Auth | 1<<wire.Bye | 1<<wire.ByeAck

// unseal returns the payload of a record as it was before it was sealed, and whether
// the record counts. Only the reader may call it.
func (s *session) unseal(h wire.Header, payload []byte, ours bool) (plain []byte, counts bool, err error) {
	g := &s.guard
	switch sealed := h.Flags&wire.Sealed != 0; {
	case !g.needed && sealed:
		return nil, false, fmt.Errorf("%w: it seals %v, and has proven nothing", ErrProtocol, h.Type)
	case !g.needed:
		return payload, true, nil
	case !sealed:
		return payload, g.passesUnsealed(h, ours), nil
	case g.opener == nil:
		return nil, false, nil // its keys come with the proof, which is repeated
	}
	g.bound = h.AppendBound(g.bound[:0])
	room := s.roomForPlain(h, len(payload)-trust.Overhead)
	plain, err = g.opener.Open(room, g.bound, h.Sequence, payload)
	switch {
	case errors.Is(err, trust.ErrReplayed):
		s.stale++
		return nil, false, nil
	case err != nil:
		s.reader.Reject(h)
		return nil, false, nil
	}
	g.heard.Store(true)
	return plain, true, nil
}

// roomForPlain returns where a record's plain payload of n bytes is written: to its place,
// if it has one, so that it need not be copied there.
func (s *session) roomForPlain(h wire.Header, n int) []byte {
	if h.Type == wire.Frame && h.Flags&wire.First == 0 && h.Sequence == s.in {
		if place := s.side.placeOf(h, n); place != nil {
			return place
		}
	}
	g := &s.guard
	if n > cap(g.plain) {
		g.plain = make([]byte, n)
	}
	return g.plain[:0]
}

// writeSealed writes a sealed record.
func (s *session) writeSealed(sealer *trust.Sealer, h wire.Header, payload ...[]byte) error {
	g := &s.guard
	h.Flags = h.Flags&^wire.Unchecked | wire.Sealed
	h.Length = trust.Overhead
	for _, piece := range payload {
		h.Length += len(piece)
	}
	g.sealsBound = h.AppendBound(g.sealsBound[:0])
	g.sealed = sealer.Seal(g.sealed[:0], g.sealsBound, h.Sequence, payload...)
	return s.writePlain(h, g.sealed)
}

// maxPiece returns how many bytes the payload of a FRAME may have. Only the writer may
// call it.
func (s *session) maxPiece() int {
	if s.guard.sealer.Load() != nil && s.guard.seals(wire.Frame) {
		return wire.MaxPayload - trust.Overhead
	}
	return wire.MaxPayload
}

// startHandshake begins to wait for the outcome of a handshake, in place of an older one. Only
// the reader may call it.
func (s *session) startHandshake(h *trust.Handshake) {
	g := &s.guard
	if old := g.handshake.Swap(h); old != nil && old != h {
		old.Close()
		g.cancel()
	}
	h.OnChange(func() { s.queueRecord(wire.Auth) })
	waiting, cancel := context.WithCancel(s.ctx)
	g.cancel = cancel
	s.startPart(func(session context.Context) error {
		defer cancel()
		_, err := h.Run(waiting)
		if err == nil || waiting.Err() != nil {
			return nil
		}
		if h.Message() == nil && errors.Is(err, trust.ErrTimeout) {
			return fmt.Errorf("%w: it proved nothing", ErrPeerDead) // nobody is there to read why
		}
		return s.refusePeer(session, err)
	})
}

// refusePeer ends the session with a peer that is not trusted. It learns no more than
// that.
func (s *session) refusePeer(session context.Context, err error) error {
	s.guard.refusal.CompareAndSwap(nil, &err)
	return s.sendBye(session, refusal, byeWait)
}

// refusal is the reason in a Bye to a peer that is not trusted.
const refusal = "not paired"

// handleFlight takes the peer's flight. What is wrong with it ends the handshake, and so the
// session.
func (s *session) handleFlight(flight []byte) {
	g := &s.guard
	h := g.handshake.Load()
	if h == nil || g.opener != nil {
		return
	}
	_ = h.HandleFlight(flight)
	if sealer, opener := h.Seals(); sealer != nil {
		g.opener = opener
		g.sealer.Store(sealer)
		s.limit.Store(int64(liveness)) // it lives: what it proved depends on what was written just now
	}
}

// handleAuth takes the peer's proof or, sealed, what it has decided. It calls trusted
// when both ends want the session.
func (s *session) handleAuth(h wire.Header, payload []byte, trusted func(trust.Outcome) error) error {
	g := &s.guard
	switch {
	case h.Flags&wire.Sealed != 0 && !g.trusted.Load():
	case h.Flags&wire.Sealed == 0 && !s.side.proves():
		s.handleFlight(payload)
		return nil
	default:
		return nil
	}
	handshake := g.handshake.Load()
	_ = handshake.HandleMessage(payload) // its error ends the handshake
	outcome, ok := handshake.Outcome()
	if !ok {
		return nil
	}
	if err := trusted(outcome); err != nil {
		return err
	}
	g.trusted.Store(true)
	return nil
}

// agreeOnFrames takes note whether frames are sealed: not where this end or the peer has asked
// for that in what it has proven.
func (s *session) agreeOnFrames(peer Peer, log *slog.Logger) {
	theirs := peer.has(FeatureUnsealedFrames)
	s.guard.unsealed.Store(s.guard.wantsUnsealed || theirs)
	if theirs && !s.guard.wantsUnsealed {
		log.Warn("frames are not sealed: the peer has asked for that", "peer", peer.String())
	}
}

// writeAuth writes what the peer must know of the handshake.
func (s *session) writeAuth() error {
	h := s.guard.handshake.Load()
	if h == nil {
		return nil
	}
	message := h.Message()
	if message == nil {
		return nil
	}
	if s.side.proves() && !s.guard.heard.Load() {
		header := wire.Header{Type: wire.Auth, Session: s.id.Load(), Sequence: s.out}
		s.out++
		if err := s.writePlain(header, h.Flight()); err != nil {
			return err
		}
	}
	return s.writeRecord(wire.Header{Type: wire.Auth}, message)
}

// watchPeer ends the session when the peer is forgotten, and reports other rights.
func (s *session) watchPeer(store *trust.Store, outcome trust.Outcome, changed func(trust.Outcome)) {
	if outcome.Unpaired || outcome.Own || outcome.Once {
		return // nobody keeps it
	}
	s.startPart(func(session context.Context) error {
		err := store.Watch(session, outcome.Peer, func(p trust.Peer) {
			outcome.Peer, outcome.Rights = p, *p.Rights
			changed(outcome)
		})
		if session.Err() != nil {
			return nil
		}
		return s.refusePeer(session, err)
	})
}

// provenPeer returns how a peer has described itself in what it has proven, with the
// name by which it is known here.
func (s *session) provenPeer(outcome trust.Outcome) (Peer, error) {
	h := wire.Header{Type: wire.Auth}
	peer, err := parsePeer(h, s.guard.handshake.Load().PeerParams())
	peer.Host = outcome.Peer.Name
	if outcome.Unpaired {
		peer.Host = "an unpaired computer"
	}
	return peer, err
}

// isRefusal reports whether a session ended since one end does not trust the other.
func isRefusal(err error) bool {
	for _, refusal := range []error{trust.ErrProof, trust.ErrPeerRefused, trust.ErrNotConfirmed, trust.ErrNoPeer, trust.ErrTimeout, trust.ErrNotPairing} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return errors.As(err, new(*trust.UnknownError)) || errors.As(err, new(*trust.NameTakenError)) || errors.As(err, new(*trust.PauseError))
}

// reportRefusal reports to f, if that is set, what ended a session without trust.
func reportRefusal(f func(error), err error) {
	if f != nil && isRefusal(err) {
		f(err)
	}
}

// refusedEvery is how often refusals are logged: an end that waits meets the same
// stranger every few seconds.
const refusedEvery = time.Minute
