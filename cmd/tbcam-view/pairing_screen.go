package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/transport/trust"
)

// pairingScreen shows the number of a pairing where frames are to come: in the window, whose
// user can confirm the sender there by a key, and in virtual cameras. A nil one shows
// nothing.
type pairingScreen struct {
	show    func(sink.Notice) // has the outputs show it
	waiting sink.Notice       // what they show after a pairing
	pressed chan struct{}     // the window's user pressed the key

	mu     sync.Mutex
	asking bool        // for the key
	window bool        // it is open
	now    sink.Notice // what is shown of a pairing
}

func newPairingScreen(show func(sink.Notice), waiting sink.Notice) *pairingScreen {
	return &pairingScreen{show: show, waiting: waiting, pressed: make(chan struct{}, 1)}
}

// setWindow notes whether there is a window.
func (s *pairingScreen) setWindow(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window = open
}

// confirm takes the key by which the window's user confirms the sender, and reports whether
// it was asked for.
func (s *pairingScreen) confirm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking {
		select {
		case s.pressed <- struct{}{}:
		default:
		}
	}
	return s.asking
}

// promptWith returns what asks the viewer's user: another prompt, which may be nil, and the
// screen. It is nil if nobody could confirm the sender.
func (s *pairingScreen) promptWith(other trust.ViewerPrompt) trust.ViewerPrompt {
	if s == nil {
		return other
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.window && other != nil:
		return viewerPrompts{s, other}
	case s.window:
		return s
	case other != nil:
		return viewerPrompts{numberOnly{s}, other}
	}
	return nil
}

// ShowNumber implements trust.ViewerPrompt.
func (s *pairingScreen) ShowNumber(ctx context.Context, number string) {
	number = number[:3] + " " + number[3:]
	s.showUntil(ctx, sink.Notice{
		Heading: number, Brief: "to pair, type " + number + " at tbcam-send",
		Detail: "This sender is not paired.\nType this number at tbcam-send on the camera's host",
	})
}

// ConfirmSender implements trust.ViewerPrompt. Who does not press the key refuses, when the
// time is up.
func (s *pairingScreen) ConfirmSender(ctx context.Context, name string) (bool, error) {
	s.setAsking(true)
	defer s.setAsking(false)
	s.showUntil(ctx, sink.Notice{
		Heading: "Did tbcam-send accept the number?", Brief: "the sender is being confirmed",
		Detail: fmt.Sprintf("“%s” claims so. Press P if tbcam-send reports it", name),
	})
	select {
	case <-s.pressed:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (s *pairingScreen) setAsking(asking bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = asking
	select {
	case <-s.pressed: // for an earlier question
	default:
	}
}

// showUntil shows a notice until the context ends, or another one of a pairing.
func (s *pairingScreen) showUntil(ctx context.Context, n sink.Notice) {
	s.mu.Lock()
	s.now = n
	s.mu.Unlock()
	s.show(n)
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		last := s.now == n
		if last {
			s.now = sink.Notice{}
		}
		s.mu.Unlock()
		if last {
			s.show(s.waiting)
		}
	})
}

// numberOnly is a screen without a window, where nobody can press a key.
type numberOnly struct{ *pairingScreen }

// errNoKeys is returned where nobody can press a key.
var errNoKeys = errors.New("there is no window")

// ConfirmSender implements trust.ViewerPrompt.
func (numberOnly) ConfirmSender(context.Context, string) (bool, error) { return false, errNoKeys }

// viewerPrompts are several ones at the same time: the first answer counts.
type viewerPrompts []trust.ViewerPrompt

// ShowNumber implements trust.ViewerPrompt.
func (p viewerPrompts) ShowNumber(ctx context.Context, number string) {
	for _, prompt := range p {
		prompt.ShowNumber(ctx, number)
	}
}

// ConfirmSender implements trust.ViewerPrompt.
func (p viewerPrompts) ConfirmSender(ctx context.Context, name string) (bool, error) {
	var ask []func(context.Context) (bool, error)
	for _, prompt := range p {
		ask = append(ask, func(ctx context.Context) (bool, error) { return prompt.ConfirmSender(ctx, name) })
	}
	return cli.FirstAnswer(ctx, ask...)
}
