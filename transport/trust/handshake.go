package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Times of a handshake.
const (
	// proofTimeout is how long a peer may take to prove its key and to state its verdict.
	proofTimeout = 2 * time.Second
	// pairingTimeout is how long users may take, from there on.
	pairingTimeout = time.Minute
)

// Errors of a handshake.
var (
	// ErrPeerRefused is returned when the peer does not know this end, and does not
	// pair now.
	ErrPeerRefused = errors.New("the peer refused this computer")
	// ErrTimeout is returned when the peer, or a user, took too long.
	ErrTimeout = errors.New("pairing took too long")
	// ErrNotConfirmed is returned when this end's user refused the peer.
	ErrNotConfirmed = errors.New("not confirmed by the user")
	// ErrNotPairing is returned when this end's user cannot be asked, or was not.
	ErrNotPairing = errors.New("pairing is off")
)

// UnknownError is returned when the peer is not paired, and this end does not pair now.
type UnknownError struct{ Key Fingerprint }

func (e *UnknownError) Error() string { return fmt.Sprintf("not paired with %s", e.Key.Short()) }

// Outcome is what a handshake has found out.
type Outcome struct {
	Peer     Peer   // with the name that this end knows it by
	Own      bool   // it has this end's own key: it is a program of this user
	Unpaired bool   // it is unknown, and came by Config.AllowUnpaired
	Paired   bool   // in this handshake
	Once     bool   // it was paired for this session only: nobody keeps it
	Rights   Rights // of the viewer, as the sender grants them
}

// Config is what both ends of a handshake need.
type Config struct {
	Identity *Identity
	Store    *Store
	// Name of this user and host. Only a peer that is known or accepted learns it.
	Name string
	// AllowUnpaired takes unknown peers for known ones, without keeping them.
	AllowUnpaired bool
	// Params is what this end's greeting states beside the flight. The peer learns it
	// unchanged, or the handshake fails.
	Params []byte
}

// Handshake is one end's part in the beginning of a session, until each end knows who
// the other one is and wants it. Its methods may be called by several goroutines.
type Handshake struct {
	config Config
	role   Role // of the peer
	side   side
	first  []byte // of a viewer: the sender's flight that it answers
	wake   chan struct{}

	mu       sync.Mutex
	exchange *exchange
	keys     *keys // nil until the peer is proven
	mine     message
	theirs   message
	known    Peer
	isKnown  bool // known comes from the Store
	stored   bool // known was kept in this handshake
	once     bool // known was accepted in this handshake, and is not kept
	trusted  bool // both ends want the session
	failure  error
	changed  func() // there is a new Flight or Message; may be nil
	cancel   func() // ends Run's context; nil outside of Run
}

// side is what only the sender, or only the viewer, does. The Handshake is locked but
// in ask.
type side interface {
	// mayPair returns nil if this end's user can be asked now.
	mayPair() error
	// respond answers what the peer has stated, while both pair.
	respond(*Handshake) error
	// asks reports whether it is this end's user's turn.
	asks(*Handshake) bool
	// ask waits for the user, and takes the answer.
	ask(context.Context, *Handshake) error
}

// keys are the secrets of a session.
type keys struct {
	sender, viewer []byte // seal what each of them sends
	pairing        []byte
}

// OnChange has f called when there is a new Flight or Message to send. f must neither
// wait nor call the Handshake.
func (h *Handshake) OnChange(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = f
}

// Close ends the handshake. It is idempotent.
func (h *Handshake) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.exchange.close()
}

// Flight returns what this end sends unsealed: a sender in its greeting, and another
// one when it has read the viewer's; a viewer in its answer.
func (h *Handshake) Flight() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.exchange.flight
}

// Answers reports whether a viewer's handshake answers this flight, and not that of
// another greeting.
func (h *Handshake) Answers(flight []byte) bool { return bytes.Equal(h.first, flight) }

// HandleFlight takes the peer's flight. One that comes again is ignored.
func (h *Handshake) HandleFlight(flight []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure != nil || h.keys != nil {
		return h.failure
	}
	return h.applyResult(h.proveKeys(flight))
}

// proveKeys completes the exchange, and decides about the peer.
func (h *Handshake) proveKeys(flight []byte) error {
	if len(flight) > MaxFlight {
		return fmt.Errorf("%w: a flight of %d bytes, allowed are %d", ErrProof, len(flight), MaxFlight)
	}
	if err := h.exchange.handle(flight); err != nil {
		return err
	}
	keys, err := h.deriveKeys()
	if err != nil {
		return err
	}
	h.keys = keys
	h.exchange.close()
	if h.mine.Verdict == "" {
		err = h.decideOnKey(h.exchange.peer)
	}
	if err != nil {
		return err
	}
	return h.side.respond(h)
}

func (h *Handshake) deriveKeys() (*keys, error) {
	client, server := h.config.Identity.Fingerprint(), h.exchange.peer
	if h.role == RoleSender {
		client, server = server, client
	}
	var k keys
	for _, secret := range []struct {
		key    *[]byte
		label  string
		length int
	}{{&k.sender, "sender", keySize}, {&k.viewer, "viewer", keySize}, {&k.pairing, "pairing", sha256.Size}} {
		key, err := h.exchange.export(secret.label, client, server, secret.length)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProof, err)
		}
		*secret.key = key
	}
	return &k, nil
}

// decideOnKey states the verdict about a key. It refuses one that is not known and cannot
// become known now.
func (h *Handshake) decideOnKey(key Fingerprint) error {
	peer, found, err := h.config.Store.Find(h.role, key)
	if h.isOwn(key) {
		rights := Rights{Cameras: []string{AllCameras}, Microphone: true, Control: true}
		peer, found = Peer{Name: h.config.Name, Rights: &rights}, true
	}
	switch {
	case err != nil:
		return err
	case found || h.config.AllowUnpaired:
		peer.Key, peer.Role = key, h.role
		h.known, h.isKnown, h.mine.Verdict = peer, found, verdictKnown
		h.addIntroduction()
		return nil
	}
	if err := h.side.mayPair(); err != nil {
		return fmt.Errorf("%w: %w", &UnknownError{key}, err)
	}
	h.mine.Verdict = verdictPairing
	return nil
}

// isOwn reports whether a key is this end's own, so that the peer is of the same user.
func (h *Handshake) isOwn(key Fingerprint) bool { return key == h.config.Identity.Fingerprint() }

// addIntroduction states what only a peer learns that is known or accepted.
func (h *Handshake) addIntroduction() {
	h.mine.Name = h.config.Name
	if h.role == RoleViewer {
		rights := h.rights()
		h.mine.Rights = &rights
	}
}

// rights returns what a viewer may do.
func (h *Handshake) rights() Rights {
	granted := h.known.Rights
	if h.role == RoleSender {
		granted = h.theirs.Rights
	}
	if granted == nil {
		return DefaultRights()
	}
	return *granted
}

// applyResult reports a change, and ends the handshake with an error, if there is one.
func (h *Handshake) applyResult(err error) error {
	if err != nil && h.failure == nil && !h.trusted {
		h.failure = err
		h.mine.Verdict, h.mine.Reason = verdictRefused, reasonFor(err)
		h.exchange.close()
		if h.cancel != nil {
			h.cancel()
		}
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	if h.changed != nil {
		h.changed()
	}
	return err
}

// reasonFor returns what the peer learns of an error: nothing of this host.
func reasonFor(err error) string {
	for _, known := range []error{ErrTimeout, ErrNotConfirmed, ErrProtocol, ErrNotPairing} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	switch {
	case errors.As(err, new(*PauseError)):
		return "pairing is paused"
	case errors.As(err, new(*NameTakenError)):
		return "another key has this name"
	}
	return "it failed"
}

// Message returns what this end states now, to be sealed; nil while there are no keys.
func (h *Handshake) Message() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		return nil
	}
	payload, err := json.Marshal(h.mine)
	if err != nil {
		panic(fmt.Sprintf("trust: encode message: %v", err)) // it has texts, bytes and booleans
	}
	return payload
}

// HandleMessage takes what the peer stated, out of a sealed record.
func (h *Handshake) HandleMessage(payload []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil || h.failure != nil || h.trusted {
		return h.failure
	}
	m, err := parseMessage(payload)
	if err == nil {
		err = h.theirs.advance(m)
	}
	if err == nil {
		err = h.applyVerdicts()
	}
	return h.applyResult(err)
}

// applyVerdicts acts on what both ends have stated.
func (h *Handshake) applyVerdicts() error {
	if h.theirs.Verdict == verdictRefused {
		return errors.Join(fmt.Errorf("%w: %s", ErrPeerRefused, h.theirs.Reason), h.undoKeep())
	}
	if h.theirs.Verdict != verdictKnown && h.mine.Verdict == verdictKnown {
		// The peer has forgotten this end: then both users are needed again.
		if err := h.side.mayPair(); err != nil {
			return fmt.Errorf("%w: %w", ErrPeerRefused, err)
		}
		h.mine = message{Verdict: verdictPairing}
	}
	if err := h.side.respond(h); err != nil {
		return err
	}
	both := h.mine.Verdict == h.theirs.Verdict
	h.trusted = both && (h.mine.Verdict == verdictKnown || h.mine.Verdict == verdictPaired)
	return nil
}

// keepPeer keeps the peer, and states that. Only Run calls it: a disk may be slow, and
// the Handshake is not locked meanwhile, so that the session lives.
func (h *Handshake) keepPeer(rights *Rights) error {
	peer, once := h.peerToKeep(rights)
	keep := h.config.Store.Add
	if once {
		keep = h.config.Store.checkNew
	}
	if err := keep(peer); err != nil {
		return err
	}
	err := h.update(func() error {
		h.known, h.isKnown, h.stored, h.once = peer, true, !once, once
		h.mine.Verdict = verdictPaired
		h.addIntroduction()
		return nil
	})
	if err != nil && !once { // the peer has refused meanwhile
		err = errors.Join(err, h.config.Store.remove(peer.Role, peer.Key))
	}
	return err
}

// peerToKeep returns the peer, by the name that it gives itself, and whether the sender wants
// it for this session only.
func (h *Handshake) peerToKeep(rights *Rights) (peer Peer, once bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := strings.TrimSpace(strings.ToValidUTF8(h.theirs.Name[:min(len(h.theirs.Name), maxName)], ""))
	if name == "" {
		name = h.exchange.peer.Short()
	}
	peer = Peer{Key: h.exchange.peer, Name: name, Role: h.role, Rights: rights, Paired: time.Now().Round(0)}
	return peer, h.mine.Once || h.theirs.Once
}

// undoKeep removes a peer that was kept in this handshake, when the peer has not kept
// this end.
func (h *Handshake) undoKeep() error {
	if !h.stored {
		return nil
	}
	h.stored = false
	return h.config.Store.remove(h.role, h.exchange.peer)
}

// fail ends the handshake from outside of it.
func (h *Handshake) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.applyResult(err)
}

// Run waits until both ends want the session, and asks this end's user where that is
// needed. Flights and messages have to be exchanged meanwhile, messages again and
// again: any may be lost.
func (h *Handshake) Run(ctx context.Context) (Outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timeout := time.AfterFunc(proofTimeout, func() { h.fail(ErrTimeout) })
	defer timeout.Stop()
	h.start(cancel)
	for pairing := false; ; {
		switch next := h.next(); {
		case next == stepDone:
			return h.result()
		case next >= stepPair && !pairing:
			pairing = true
			timeout.Reset(pairingTimeout)
		case next == stepAsk:
			if err := h.side.ask(ctx, h); err != nil {
				h.fail(err)
			}
		default:
			select {
			case <-h.wake:
			case <-ctx.Done():
				h.fail(ctx.Err())
			}
		}
	}
}

// start has failures end Run's context, and with it what a user is asked.
func (h *Handshake) start(cancel func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cancel = cancel
}

// step is what Run has to do next.
type step int

const (
	stepWait step = iota // for the peer
	stepDone
	stepPair // wait, for as long as users may take
	stepAsk  // ask the user
)

func (h *Handshake) next() step {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.failure != nil || h.trusted:
		return stepDone
	case h.side.asks(h):
		return stepAsk
	case h.mine.Verdict.rank() >= verdictPairing.rank() && h.theirs.Verdict.rank() >= verdictPairing.rank():
		return stepPair
	}
	return stepWait
}

func (h *Handshake) result() (Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure != nil {
		return Outcome{}, h.failure
	}
	return h.outcome(), nil
}

func (h *Handshake) outcome() Outcome {
	return Outcome{Peer: h.known, Own: h.isOwn(h.known.Key), Unpaired: !h.isKnown, Paired: h.stored || h.once, Once: h.once, Rights: h.rights()}
}

// Outcome returns what Run will return, as soon as both ends want the session.
func (h *Handshake) Outcome() (o Outcome, trusted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.trusted {
		return Outcome{}, false
	}
	return h.outcome(), true
}

// Welcomes reports whether this end wants the session, whatever the peer does.
func (h *Handshake) Welcomes() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys != nil && (h.mine.Verdict == verdictKnown || h.mine.Verdict == verdictPaired)
}

// PeerParams returns what the peer's greeting states, nil until the peer is proven.
func (h *Handshake) PeerParams() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		return nil
	}
	return h.exchange.params
}

// Seals returns what seals this end's records and opens the peer's, nil until the peer
// is proven.
func (h *Handshake) Seals() (*Sealer, *Opener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		return nil, nil
	}
	if h.role == RoleViewer {
		return NewSealer(h.keys.sender), NewOpener(h.keys.viewer)
	}
	return NewSealer(h.keys.viewer), NewOpener(h.keys.sender)
}
