package trust

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

var middlemanRuns = flag.Int("middleman", 1000/stride, "runs of TestMiddleman")

// deceit is how a middleman's attempt ended.
type deceit struct {
	sender, viewer  error  // of Run
	shown, expected string // the numbers of viewer and sender
}

// middleman has an end of each of two lines: he is a viewer to the sender, and a sender
// to the viewer.
type middleman struct {
	toSender, toViewer *Handshake
	store              *Store
	identity           *Identity
}

// deceive has a middleman between both ends: he relays all that he can, and claims
// whatever brings him on. The user does what the programs ask for.
func (m *middleman) deceive(t *testing.T, w *world, waits bool) (d deceit) {
	own := Config{Store: m.store, Identity: m.identity, Name: "anna@desktop"}
	s, err := NewSender(w.sender)
	must(t, err)
	m.toSender, err = NewViewer(ViewerConfig{own, nopPrompt{}}, s.Flight())
	must(t, err)
	own.Name = "anna@laptop"
	m.toViewer, err = NewSender(SenderConfig{own, always(nopPrompt{}), &Attempts{}})
	must(t, err)
	v, err := NewViewer(w.viewer, m.toViewer.Flight())
	must(t, err)
	for _, h := range []*Handshake{s, v, m.toSender, m.toViewer} {
		defer h.Close()
	}
	must(t, errors.Join(s.HandleFlight(m.toSender.Flight()), m.toViewer.HandleFlight(v.Flight())))
	must(t, errors.Join(m.toSender.HandleFlight(s.Flight()), v.HandleFlight(m.toViewer.Flight())))

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	done := make(chan error, 2)
	go func() { _, err := s.Run(ctx); d.sender = err; done <- err }()
	go func() { _, err := v.Run(ctx); d.viewer = err; done <- err }()
	for range 20 {
		if waits && v.Message() != nil { // he sees the viewer's number first
			exchangeMessages(m.toViewer, v)
			synctest.Wait()
		}
		exchangeMessages(s, m.toSender)
		exchangeMessages(m.toViewer, v)
		m.claim()
		time.Sleep(100 * time.Millisecond)
	}
	<-done
	<-done
	d.shown, d.expected = w.users.shown, s.side.(*senderSide).number
	return d
}

// exchangeMessages gives each end what the other states.
func exchangeMessages(a, b *Handshake) {
	_ = b.HandleMessage(a.Message())
	_ = a.HandleMessage(b.Message())
}

// claim has the middleman state that the viewer's number was typed.
func (m *middleman) claim() {
	h := m.toViewer
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mine.Reveal != nil {
		h.mine.Verdict, h.mine.Name = verdictAccepted, "anna@laptop"
	}
}

// nopPrompt is the middleman's own user.
type nopPrompt struct{}

func (nopPrompt) EnterNumber(ctx context.Context, _ int) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}
func (nopPrompt) GrantRights(context.Context) (Grant, error)          { return Grant{}, nil }
func (nopPrompt) ShowNumber(context.Context, string)                  {}
func (nopPrompt) ConfirmSender(context.Context, string) (bool, error) { return true, nil }

// truthful is the user of both ends: he types what the viewer shows, and confirms only
// what the sender has accepted.
type truthful struct {
	*users
	accepted bool
}

func (u *truthful) GrantRights(context.Context) (Grant, error) {
	u.accepted = true
	return Grant{Rights: DefaultRights()}, nil
}

func (u *truthful) ConfirmSender(context.Context, string) (bool, error) { return u.accepted, nil }

// EnterNumber types the number that is shown, as often as it is asked for.
func (u *truthful) EnterNumber(ctx context.Context, wrong int) (string, error) {
	for {
		u.mu.Lock()
		shown := u.shown
		u.mu.Unlock()
		if shown != "" {
			return shown, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// TestMiddleman: he never has both ends show the same number, nor a session with either.
func TestMiddleman(t *testing.T) {
	bubble(t, "runs", func(t *testing.T) {
		w, m := newWorld(t), &middleman{}
		m.store, m.identity = newStore(t)
		for run := range *middlemanRuns {
			w.users = &users{number: make(chan string, 1)}
			user := &truthful{users: w.users}
			w.sender.Prompt, w.viewer.Prompt, w.sender.Attempts = always(user), user, &Attempts{}
			d := m.deceive(t, w, run%2 == 0)
			if d.sender == nil || d.viewer == nil || d.shown == "" || d.expected == "" || d.shown == d.expected {
				t.Fatalf("run %d: %+v", run, d)
			}
		}
		w.checkNotPaired(t)
	})
}

// TestCommitment: a sender that changes its nonce after it has seen the viewer's is
// found out; so are nonces that change, and reveals without a commitment.
func TestCommitment(t *testing.T) {
	for name, cheat := range map[string]func(commit, reveal message) []message{
		"another nonce":         func(c, r message) []message { r.Reveal = newNonce(); return []message{c, r} },
		"another commitment":    func(c, r message) []message { r.Commit = newNonce(); return []message{c, r} },
		"no commitment":         func(c, r message) []message { return []message{{Verdict: verdictPairing, Reveal: r.Reveal}} },
		"another at once":       func(c, r message) []message { r.Reveal = newNonce(); return []message{r} },
		"accepted at once":      func(c, r message) []message { return []message{{Verdict: verdictAccepted}} },
		"paired at once":        func(c, r message) []message { return []message{c, {Verdict: verdictPaired}} },
		"two reveals":           func(c, r message) []message { s := r; s.Reveal = newNonce(); return []message{c, r, s} },
		"a commitment too long": func(c, r message) []message { c.Commit = append(c.Commit, 0); return []message{c} },
	} {
		s, v := proveBoth(t, newWorld(t).pairing())
		commit, reveal := s.mine, s.mine
		reveal.Reveal = s.side.(*senderSide).nonce
		var err error
		for _, m := range cheat(commit, reveal) {
			if err == nil {
				err = v.HandleMessage(encodeMessage(m))
			}
		}
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestNumbersAreSpread: all six digits count.
func TestNumbersAreSpread(t *testing.T) {
	k, r := &keys{pairing: make([]byte, 32)}, rand.New(rand.NewPCG(1, 1))
	var digits [6][10]int
	for range 10_000 {
		nonce := make([]byte, nonceSize)
		for i := range nonce {
			nonce[i] = byte(r.Uint32())
		}
		number := k.number(nonce, nonce)
		for i, d := range []byte(number) {
			digits[i][d-'0']++
		}
	}
	for i, counts := range digits {
		for d, n := range counts {
			if n < 800 || n > 1200 {
				t.Errorf("digit %d is %d in %d of 10000", i, d, n)
			}
		}
	}
}
