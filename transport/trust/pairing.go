package trust

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strings"
)

// Pairing compares a number that depends on both keys, on the secrets of the session
// and on a nonce of each end. A middleman has a session with each end, and in each
// another number. He cannot try until they agree: the sender is bound to its nonce by the
// commitment before it learns the viewer's, and the viewer gives its own before it
// learns the sender's. So he has one guess in a million for each number that a user
// reads.

// newNonce returns the nonce of one end.
func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // it never returns an error
	return nonce
}

// commitTo returns what binds a sender to its nonce, and does not reveal it.
func (k *keys) commitTo(nonce []byte) []byte {
	m := hmac.New(sha256.New, k.pairing)
	m.Write([]byte("commit"))
	m.Write(nonce)
	return m.Sum(nil)
}

// number returns the six digits that both ends compare.
func (k *keys) number(sender, viewer []byte) string {
	m := hmac.New(sha256.New, k.pairing)
	m.Write([]byte("number"))
	m.Write(sender)
	m.Write(viewer)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(m.Sum(nil))%1_000_000)
}

// SenderPrompt asks the sender's user while pairing.
type SenderPrompt interface {
	// EnterNumber returns the number that the viewer shows; wrong counts the wrong ones
	// before it. An error refuses the viewer.
	EnterNumber(ctx context.Context, wrong int) (string, error)
	// GrantRights returns what the viewer may do. It is asked after the right number.
	GrantRights(ctx context.Context) (Grant, error)
}

// SenderConfig is what a sender's handshake needs.
type SenderConfig struct {
	Config
	// Prompt returns what asks the user, when a viewer is unknown; nil: the user cannot be
	// asked now. It must not wait. A nil Prompt never asks.
	Prompt   func() SenderPrompt
	Attempts *Attempts // common to all handshakes of the program; needed with Prompt
}

// NewSender begins a handshake of a sender. Its Flight is for the greeting.
func NewSender(c SenderConfig) (*Handshake, error) {
	h := newHandshake(c.Config, RoleViewer, &senderSide{findPrompt: c.Prompt, attempts: c.Attempts})
	// The viewer's key is looked up before this end shows its own.
	exchange, err := startClient(c.Identity, c.Params, h.decideOnKey)
	if err != nil {
		return nil, err
	}
	h.exchange = exchange
	return h, nil
}

func newHandshake(c Config, role Role, s side) *Handshake {
	return &Handshake{config: c, role: role, side: s, wake: make(chan struct{}, 1)}
}

type senderSide struct {
	findPrompt func() SenderPrompt // may be nil
	prompt     SenderPrompt        // that mayPair has found
	attempts   *Attempts
	nonce      []byte // revealed once the viewer's is known
	number     string // from then on
	rights     Rights // that the user granted
	accepted   bool   // the user typed the number; accessed only by ask
}

func (s *senderSide) mayPair() error {
	if s.findPrompt != nil {
		s.prompt = s.findPrompt()
	}
	if s.prompt == nil {
		return ErrNotPairing
	}
	return s.attempts.check()
}

func (s *senderSide) respond(h *Handshake) error {
	switch h.theirs.Verdict {
	case verdictAccepted:
		return fmt.Errorf("%w: a viewer accepts no number", ErrProtocol)
	case verdictPaired:
		return s.complete(h)
	}
	if h.mine.Verdict != verdictPairing {
		return nil
	}
	if s.nonce == nil {
		s.nonce = newNonce()
		h.mine.Commit = h.keys.commitTo(s.nonce)
	}
	if h.theirs.Nonce != nil && s.number == "" {
		h.mine.Reveal, s.number = s.nonce, h.keys.number(s.nonce, h.theirs.Nonce)
	}
	return nil
}

// complete checks that a viewer which has kept this sender may be kept; ask keeps it.
func (s *senderSide) complete(h *Handshake) error {
	if h.mine.Verdict != verdictAccepted && h.mine.Verdict != verdictPaired {
		return fmt.Errorf("%w: paired without a number", ErrProtocol)
	}
	return nil
}

func (s *senderSide) asks(h *Handshake) bool {
	return h.mine.Verdict == verdictPairing && s.number != "" ||
		h.mine.Verdict == verdictAccepted && h.theirs.Verdict == verdictPaired
}

// ask has the user type the number, a few times, and decide on the rights. Once the
// viewer has kept this sender, it keeps the viewer.
func (s *senderSide) ask(ctx context.Context, h *Handshake) error {
	if s.accepted {
		return h.keepPeer(&s.rights)
	}
	for wrong := 0; ; wrong++ {
		typed, err := s.prompt.EnterNumber(ctx, wrong)
		if err != nil {
			return notConfirmed(err)
		}
		if isNumber(typed, s.number) {
			break
		}
		if err := s.attempts.fail(); err != nil {
			return err
		}
	}
	s.attempts.succeed()
	grant, err := s.prompt.GrantRights(ctx)
	if err != nil {
		return notConfirmed(err)
	}
	s.accepted = true
	return h.update(func() error {
		s.rights, h.known.Rights = grant.Rights, &grant.Rights
		h.mine.Verdict, h.mine.Once = verdictAccepted, grant.Once
		h.addIntroduction()
		return nil
	})
}

// notConfirmed returns the error of a user who refused, or who could not be asked by err.
func notConfirmed(err error) error {
	if err == nil {
		return ErrNotConfirmed
	}
	return fmt.Errorf("%w: %w", ErrNotConfirmed, err)
}

// isNumber compares digits; people write them with spaces, too.
func isNumber(typed, right string) bool {
	typed = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\t' {
			return -1
		}
		return r
	}, typed)
	return subtle.ConstantTimeCompare([]byte(typed), []byte(right)) == 1
}

// ViewerPrompt asks the viewer's user while pairing.
type ViewerPrompt interface {
	// ShowNumber shows the number that the user types at the sender's host, until the
	// context ends. It does not wait.
	ShowNumber(ctx context.Context, number string)
	// ConfirmSender asks whether the sender's host reports that it accepted the number.
	// Only its user can know: a middleman would claim so, too.
	ConfirmSender(ctx context.Context, name string) (bool, error)
}

// ViewerConfig is what a viewer's handshake needs.
type ViewerConfig struct {
	Config
	Prompt ViewerPrompt // nil: the user cannot be asked now
}

// NewViewer begins a handshake of a viewer with the flight of a sender's greeting. Its
// Flight is for the answer.
func NewViewer(c ViewerConfig, flight []byte) (*Handshake, error) {
	if len(flight) > MaxFlight {
		return nil, fmt.Errorf("%w: a flight of %d bytes, allowed are %d", ErrProof, len(flight), MaxFlight)
	}
	h := newHandshake(c.Config, RoleSender, &viewerSide{prompt: c.Prompt})
	h.first = append(h.first, flight...)
	// The sender's key comes last, and the answer to it can be sealed.
	exchange, err := startServer(c.Identity, c.Params, flight, func(Fingerprint) error { return nil })
	if err != nil {
		return nil, err
	}
	h.exchange = exchange
	return h, nil
}

type viewerSide struct {
	prompt ViewerPrompt
	number string // once the sender has revealed its nonce
	shown  bool
}

func (v *viewerSide) mayPair() error {
	if v.prompt == nil {
		return ErrNotPairing
	}
	return nil
}

func (v *viewerSide) respond(h *Handshake) error {
	accepted := h.theirs.Verdict == verdictAccepted || h.theirs.Verdict == verdictPaired
	if h.theirs.Commit != nil && h.mine.Verdict == verdictPairing && h.mine.Nonce == nil {
		h.mine.Nonce = newNonce()
	}
	if h.theirs.Reveal != nil && v.number == "" {
		if h.mine.Nonce == nil || !hmac.Equal(h.theirs.Commit, h.keys.commitTo(h.theirs.Reveal)) {
			return fmt.Errorf("%w: the commitment is another one", ErrProtocol)
		}
		v.number = h.keys.number(h.theirs.Reveal, h.mine.Nonce)
	}
	if accepted && v.number == "" || h.theirs.Verdict == verdictPaired && h.mine.Verdict != verdictPaired {
		return fmt.Errorf("%w: paired without a number", ErrProtocol)
	}
	return nil
}

func (v *viewerSide) asks(h *Handshake) bool {
	return v.number != "" && !v.shown ||
		h.mine.Verdict == verdictPairing && h.theirs.Verdict == verdictAccepted
}

// ask shows the number and, once the sender has accepted it, has the user confirm that.
func (v *viewerSide) ask(ctx context.Context, h *Handshake) error {
	if !v.shown {
		v.shown = true
		v.prompt.ShowNumber(ctx, v.number)
		return nil
	}
	confirmed, err := v.prompt.ConfirmSender(ctx, h.peerName())
	if err != nil || !confirmed {
		return notConfirmed(err)
	}
	return h.keepPeer(nil)
}

func (h *Handshake) peerName() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.theirs.Name
}

// update changes what this end states, unless the handshake has ended meanwhile.
func (h *Handshake) update(change func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure != nil {
		return h.failure
	}
	return h.applyResult(change())
}
