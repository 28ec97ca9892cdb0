package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// MaxMessage is the length of the longest message in bytes.
const MaxMessage = 8192

// ErrProtocol is returned when the peer states what SPEC.md forbids.
var ErrProtocol = errors.New("protocol violation")

// verdict is what an end has decided of its peer. It only advances.
type verdict string

// The verdicts, in the order in which an end may pass them.
const (
	verdictKnown    verdict = "known"    // this end knows the peer
	verdictPairing  verdict = "pairing"  // this end's user may pair with the peer now
	verdictAccepted verdict = "accepted" // of a sender: its user typed the viewer's number
	verdictPaired   verdict = "paired"   // the peer is kept
	verdictRefused  verdict = "refused"  // the session ends
)

var verdictOrder = []verdict{"", verdictKnown, verdictPairing, verdictAccepted, verdictPaired, verdictRefused}

// rank returns the place of a verdict in the order, -1 for an unknown one.
func (v verdict) rank() int {
	for i, known := range verdictOrder {
		if v == known {
			return i
		}
	}
	return -1
}

// Lengths of what pairing exchanges, in bytes.
const (
	nonceSize  = 32
	commitSize = 32
)

// message is all that an end states while it proves itself and pairs. It is state: it
// is repeated until it arrives, and members are added and never changed.
type message struct {
	Verdict verdict `json:"verdict"`
	// Name of this end's user and host, from the moment this end accepts the peer.
	Name   string  `json:"name,omitempty"`
	Rights *Rights `json:"rights,omitempty"` // of a sender: what the viewer may do
	Once   bool    `json:"once,omitempty"`   // of a sender that keeps the viewer for this session only
	Reason string  `json:"reason,omitempty"` // of a refusal, for people
	// The sender commits itself to its nonce before it learns the viewer's, and
	// reveals it after that.
	Commit []byte `json:"commit,omitempty"`
	Reveal []byte `json:"reveal,omitempty"`
	Nonce  []byte `json:"nonce,omitempty"` // of the viewer
}

// parseMessage reads what a peer sent, as the text of a hostile one.
func parseMessage(payload []byte) (message, error) {
	var m message
	if len(payload) > MaxMessage {
		return message{}, fmt.Errorf("%w: message of %d bytes, allowed are %d", ErrProtocol, len(payload), MaxMessage)
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return message{}, fmt.Errorf("%w: read message: %w", ErrProtocol, err)
	}
	for _, c := range []struct {
		bytes []byte
		size  int
	}{{m.Commit, commitSize}, {m.Reveal, nonceSize}, {m.Nonce, nonceSize}} {
		if len(c.bytes) != 0 && len(c.bytes) != c.size {
			return message{}, fmt.Errorf("%w: %d bytes, want %d", ErrProtocol, len(c.bytes), c.size)
		}
	}
	if m.Verdict.rank() < 1 {
		return message{}, fmt.Errorf("%w: verdict %.20q", ErrProtocol, m.Verdict)
	}
	m.Name, m.Reason = printable(m.Name), printable(m.Reason)
	if m.Rights != nil {
		for i, camera := range m.Rights.Cameras {
			m.Rights.Cameras[i] = printable(camera)
		}
	}
	return m, nil
}

// printable makes a peer's text safe for a terminal and a log.
func printable(text string) string { return capture.Printable(text[:min(len(text), 256)]) }

// advance adds what a newer message of the same end states. Of an older one, which a
// device may repeat, nothing is new.
func (m *message) advance(next message) error {
	for _, c := range []struct{ have, next *[]byte }{
		{&m.Commit, &next.Commit}, {&m.Reveal, &next.Reveal}, {&m.Nonce, &next.Nonce},
	} {
		if len(*c.have) != 0 && len(*c.next) != 0 && !bytes.Equal(*c.have, *c.next) {
			return fmt.Errorf("%w: a commitment was changed", ErrProtocol)
		}
		if len(*c.have) == 0 {
			*c.have = *c.next
		}
	}
	if next.Verdict.rank() > m.Verdict.rank() {
		m.Verdict, m.Name, m.Rights, m.Once, m.Reason = next.Verdict, next.Name, next.Rights, next.Once, next.Reason
	}
	return nil
}
