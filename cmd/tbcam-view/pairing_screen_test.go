package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/sink"
)

// shownNotices is what outputs show.
type shownNotices struct {
	mu  sync.Mutex
	now sink.Notice
}

func (s *shownNotices) show(n sink.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = n
}

func (s *shownNotices) heading() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Heading
}

var waitingNotice = sink.Notice{Heading: "Waiting"}

// TestPairingInTheWindow: the window shows the number, and its user confirms the sender by a key,
// which counts only while it is asked for.
func TestPairingInTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown shownNotices
		s := newPairingScreen(shown.show, waitingNotice)
		if s.promptWith(nil) != nil {
			t.Error("without a window somebody is asked")
		}
		s.setWindow(true)
		ctx, end := context.WithCancel(t.Context())
		prompt := s.promptWith(nil)
		prompt.ShowNumber(ctx, "012345")
		if shown.heading() != "012 345" || s.confirm() {
			t.Errorf("it shows %q", shown.heading())
		}
		answer := make(chan bool)
		go func() { yes, err := prompt.ConfirmSender(ctx, "laptop"); answer <- yes && err == nil }()
		synctest.Wait()
		if !strings.Contains(shown.heading(), "accept") || !s.confirm() || !<-answer {
			t.Errorf("not confirmed; it shows %q", shown.heading())
		}
		end()
		synctest.Wait()
		if shown.heading() != "Waiting" || s.confirm() {
			t.Errorf("afterwards it shows %q", shown.heading())
		}
	})
}

// TestNobodyConfirms: a key that was pressed before counts for no later question, and a user who is
// away refuses.
func TestNobodyConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown shownNotices
		s := newPairingScreen(shown.show, waitingNotice)
		s.setWindow(true)
		s.setAsking(true)
		s.confirm()
		ctx, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		if yes, err := s.promptWith(nil).ConfirmSender(ctx, "laptop"); yes || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("confirmed %v, %v", yes, err)
		}
	})
}

// otherPrompt is a terminal.
type otherPrompt struct {
	yes    bool
	err    error
	number string
}

func (o *otherPrompt) ShowNumber(_ context.Context, number string) { o.number = number }

func (o *otherPrompt) ConfirmSender(ctx context.Context, _ string) (bool, error) {
	if o.err == nil && !o.yes {
		<-ctx.Done()
		return false, ctx.Err()
	}
	return o.yes, o.err
}

// TestFirstAnswerCounts: the window and a terminal show the number, and either confirms; one whose
// user is gone does not refuse for the other.
func TestFirstAnswerCounts(t *testing.T) {
	for _, c := range []struct {
		name          string
		other         otherPrompt
		window, press bool
		want          bool
	}{
		{"terminal", otherPrompt{yes: true}, true, false, true},
		{"window", otherPrompt{}, true, true, true},
		{"window, terminal gone", otherPrompt{err: errors.New("gone")}, true, true, true},
		{"terminal without window", otherPrompt{yes: true}, false, false, true},
		{"all gone", otherPrompt{err: errors.New("gone")}, false, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var shown shownNotices
			s := newPairingScreen(shown.show, waitingNotice)
			s.setWindow(c.window)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			prompt := s.promptWith(&c.other)
			prompt.ShowNumber(ctx, "012345")
			if c.other.number != "012345" || shown.heading() != "012 345" {
				t.Errorf("%s: %q and %q are shown", c.name, c.other.number, shown.heading())
			}
			answer := make(chan bool)
			go func() { yes, err := prompt.ConfirmSender(ctx, "laptop"); answer <- yes && err == nil }()
			synctest.Wait()
			if c.press {
				s.confirm()
			}
			if got := <-answer; got != c.want {
				t.Errorf("%s: confirmed %v", c.name, got)
			}
		})
	}
}
