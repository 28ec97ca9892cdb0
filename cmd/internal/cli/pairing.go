package cli

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/tbcam/tbcam/cmd/internal/pairsock"
	"github.com/tbcam/tbcam/transport/trust"
)

// Pairing lets users pair a program that runs, in its terminal or by the pair command,
// and records in the audit log what becomes of that.
type Pairing struct {
	terminal *Terminal
	// server returns what the pair command reaches, nil if it cannot.
	server func() *pairsock.Server
	store  *trust.Store
	role   trust.Role // of peers
	log    *slog.Logger
}

// OpenPairing returns the pairing of a program with peers of a role on a stream.
func OpenPairing(store *trust.Store, role trust.Role, stream string, log *slog.Logger) *Pairing {
	server := sync.OnceValue(func() *pairsock.Server {
		s, err := pairsock.Listen(store.Dir(), role, stream, log)
		if err != nil {
			log.Warn("the pair command cannot reach this program", "err", err)
		}
		return s
	})
	go server() // a session with a known peer does not wait for it
	return &Pairing{terminal: OpenTerminal(), server: server, store: store, role: role, log: log}
}

// SenderPrompt returns what asks a sender's user, nil if nobody is to be asked. A pair
// command comes first: somebody waits there.
func (p *Pairing) SenderPrompt() trust.SenderPrompt {
	if prompt := p.server().SenderPrompt(); prompt != nil {
		return prompt
	}
	return p.terminal.SenderPrompt()
}

// ViewerPrompt returns what asks a viewer's user, nil if nobody is to be asked.
func (p *Pairing) ViewerPrompt() trust.ViewerPrompt {
	if prompt := p.server().ViewerPrompt(); prompt != nil {
		return prompt
	}
	return p.terminal.ViewerPrompt()
}

// HandleTrusted logs and records that a session with a peer begins. It does not wait.
func (p *Pairing) HandleTrusted(o trust.Outcome) {
	go func() {
		RecordOutcome(p.store, p.log, o)
		if !o.Unpaired {
			p.server().ReportPaired(o.Peer.Name)
		}
	}()
}

// HandleRefused records that a session ended since one end does not trust the other. It
// does not wait.
func (p *Pairing) HandleRefused(err error) {
	if errors.Is(err, trust.ErrNoPeer) {
		return // who forgot it has recorded that
	}
	event := trust.Event{Kind: trust.EventRefused, Role: p.role, Detail: err.Error()}
	if errors.Is(err, trust.ErrNotConfirmed) {
		event.Kind = trust.EventNotPaired
	}
	if unknown := (*trust.UnknownError)(nil); errors.As(err, &unknown) {
		event.Key = unknown.Key
	}
	go func() {
		p.server().ReportFailure(err, isFinal(err))
		if err := p.store.Record(event); err != nil {
			p.log.Warn("audit log", "err", err)
		}
	}()
}

// isFinal reports whether trying again does not help against a refusal.
func isFinal(err error) bool {
	return errors.Is(err, trust.ErrNotConfirmed) || errors.As(err, new(*trust.PauseError)) || errors.As(err, new(*trust.NameTakenError))
}

// Close ends the pair command that is connected, if there is one. It does nothing on nil.
func (p *Pairing) Close() error {
	if p == nil {
		return nil
	}
	return p.server().Close()
}
