package trust

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestKnownPeers(t *testing.T) {
	bubble(t, "both", func(t *testing.T) {
		w := newWorld(t).paired(t)
		a := w.run(t, nil)
		if !a.both() {
			t.Fatalf("sender: %v, viewer: %v", a.err[true], a.err[false])
		}
		if s, v := a.outcome[true], a.outcome[false]; s.Peer.Name != "desktop" || v.Peer.Name != "laptop" || s.Paired || v.Paired || s.Unpaired || v.Unpaired {
			t.Errorf("sender: %+v, viewer: %+v", s, v)
		}
		if took := max(a.trusted[true], a.trusted[false]); took > beat/10 {
			t.Errorf("it took %v, more than the flights need", took)
		}
		if s, v := a.sender.PeerParams(), a.viewer.PeerParams(); string(s) != "viewer states" || string(v) != "sender states" {
			t.Errorf("the sender learned %q, the viewer %q", s, v)
		}
	})
}

// TestFlightsOfGreeting: with a known key both ends are sure after three flights, the
// third of which has the sender's verdict with it. So no round trip is added.
func TestFlightsOfGreeting(t *testing.T) {
	w := newWorld(t).paired(t)
	s, err := NewSender(w.sender)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewViewer(w.viewer, s.Flight())
	if err != nil {
		t.Fatal(err)
	}
	first, second := len(s.Flight()), len(v.Flight())
	for _, step := range []error{s.HandleFlight(v.Flight()), v.HandleFlight(s.Flight()), v.HandleMessage(s.Message()), s.HandleMessage(v.Message())} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if !s.trusted || !v.trusted {
		t.Error("three flights and a message of each are not enough")
	}
	t.Logf("flights of %d, %d, %d bytes, messages of %d, %d", first, second, len(s.Flight()), len(s.Message()), len(v.Message()))
	if max(first, second, len(s.Flight())) > MaxFlight {
		t.Error("a flight is longer than MaxFlight")
	}
}

func TestPairing(t *testing.T) {
	bubble(t, "once", func(t *testing.T) {
		w := newWorld(t).pairing()
		w.users.mistakes = maxWrong - 1
		w.users.rights = &Rights{Cameras: []string{"C920"}, Control: true}
		a := w.run(t, nil)
		if !a.both() || !a.outcome[true].Paired || !a.outcome[false].Paired {
			t.Fatalf("sender: %+v, %v, viewer: %+v, %v", a.outcome[true], a.err[true], a.outcome[false], a.err[false])
		}
		for _, o := range a.outcome {
			if !o.Rights.Equal(*w.users.rights) {
				t.Errorf("rights are %v", o.Rights)
			}
		}
		if name := a.outcome[true].Peer.Name; name != "anna@desktop" {
			t.Errorf("the viewer is %q", name)
		}
		w.sender.Prompt, w.viewer.Prompt = nil, nil
		if a = w.run(t, nil); !a.both() || a.outcome[true].Paired {
			t.Errorf("afterwards: sender: %v, viewer: %v", a.err[true], a.err[false])
		}
	})
	bubble(t, "by a user who comes behind the greeting", func(t *testing.T) {
		w := newWorld(t).pairing()
		var user SenderPrompt // the first flight may be made long before it is sent
		w.sender.Prompt = func() SenderPrompt { return user }
		a := w.run(t, func(p packet) []packet { user = w.users; return []packet{p} })
		if !a.both() || !a.outcome[true].Paired {
			t.Errorf("sender: %v, viewer: %v", a.err[true], a.err[false])
		}
	})
	bubble(t, "again, after the viewer forgot", func(t *testing.T) {
		w := newWorld(t).paired(t).pairing()
		if _, err := w.viewer.Store.Forget(RoleSender, "laptop"); err != nil {
			t.Fatal(err)
		}
		if a := w.run(t, nil); !a.both() || !a.outcome[true].Paired || len(w.users.typed) != 1 {
			t.Errorf("sender: %v, viewer: %v, typed %q", a.err[true], a.err[false], w.users.typed)
		}
	})
	bubble(t, "again, after the sender forgot", func(t *testing.T) {
		w := newWorld(t).paired(t).pairing()
		if _, err := w.sender.Store.Forget(RoleViewer, "desktop"); err != nil {
			t.Fatal(err)
		}
		if a := w.run(t, nil); !a.both() || !a.outcome[false].Paired || len(w.users.typed) != 1 {
			t.Errorf("sender: %v, viewer: %v, typed %q", a.err[true], a.err[false], w.users.typed)
		}
	})
}

// TestPairingOnce: neither end keeps the other, and the next session asks again; a name that
// another key has is refused all the same.
func TestPairingOnce(t *testing.T) {
	bubble(t, "once", func(t *testing.T) {
		w := newWorld(t).pairing()
		w.users.once, w.users.rights = true, &Rights{Cameras: []string{"C920"}}
		for n := 1; n <= 2; n++ {
			a := w.run(t, nil)
			if s, v := a.outcome[true], a.outcome[false]; !a.both() || !s.Once || !v.Once || !s.Paired || !v.Paired || s.Unpaired || !v.Rights.Equal(*w.users.rights) {
				t.Errorf("sender: %+v, %v, viewer: %+v, %v", s, a.err[true], v, a.err[false])
			}
			if len(w.users.typed) != n {
				t.Errorf("in session %d typed are %q", n, w.users.typed)
			}
			w.checkNotPaired(t)
		}
	})
	bubble(t, "another key", func(t *testing.T) {
		w := newWorld(t).pairing()
		w.users.once = true
		if err := w.sender.Store.Add(Peer{Key: Fingerprint{1}, Name: "anna@desktop", Role: RoleViewer, Rights: &Rights{}}); err != nil {
			t.Fatal(err)
		}
		if a := w.run(t, nil); !errors.As(a.err[true], new(*NameTakenError)) || !errors.Is(a.err[false], ErrPeerRefused) {
			t.Errorf("sender: %v, viewer: %v", a.err[true], a.err[false])
		}
	})
}

// TestLineLostWhilePairing: where the line is lost after the viewer has kept the sender, and before
// that keeps the viewer, the camera's side is closed, and both pair again.
func TestLineLostWhilePairing(t *testing.T) {
	bubble(t, "lost", func(t *testing.T) {
		w := newWorld(t).pairing()
		lost := false
		a := w.run(t, func(p packet) []packet {
			lost = lost || !p.sender && p.sealed && len(peersOf(t, w.viewer.Store)) > 0
			if lost {
				return nil
			}
			return []packet{p}
		})
		if a.both() || len(peersOf(t, w.viewer.Store)) != 1 || len(peersOf(t, w.sender.Store)) != 0 {
			t.Fatalf("sender: %v, viewer: %v; kept are %v, %v", a.err[true], a.err[false], peersOf(t, w.sender.Store), peersOf(t, w.viewer.Store))
		}
		w.users.number = make(chan string, 1) // what was shown before counts no more
		if a = w.run(t, nil); !a.both() || !a.outcome[true].Paired || len(w.users.typed) != 2 {
			t.Errorf("again: sender: %v, viewer: %v, typed %q", a.err[true], a.err[false], w.users.typed)
		}
	})
}

// peersOf returns whom a store keeps.
func peersOf(t *testing.T, s *Store) []Peer {
	t.Helper()
	peers, err := s.Peers()
	if err != nil {
		t.Fatal(err)
	}
	return peers
}

// strangers are ends that do not know each other, and what becomes of them.
var strangers = []struct {
	name  string
	ready func(*testing.T, *world)
	check func(*attempt) error
}{
	{"unknown viewer", func(t *testing.T, w *world) { w.viewer.Prompt = w.users }, func(a *attempt) error {
		if a.viewer == nil || a.viewer.exchange.peer != (Fingerprint{}) {
			return errors.New("the sender showed its key")
		}
		if !errors.As(a.err[true], new(*UnknownError)) {
			return a.err[true]
		}
		return nil
	}},
	{"unknown sender", func(t *testing.T, w *world) {
		w.paired(t)
		_, _ = w.viewer.Store.Forget(RoleSender, "laptop")
	}, func(a *attempt) error {
		if !errors.As(a.err[false], new(*UnknownError)) || !errors.Is(a.err[true], ErrPeerRefused) {
			return fmt.Errorf("%w, %w", a.err[false], a.err[true])
		}
		return nil
	}},
	{"pairing", func(t *testing.T, w *world) {
		w.pairing()
		w.users.delay = time.Hour
	}, func(a *attempt) error {
		if !errors.Is(a.err[true], ErrTimeout) && !errors.Is(a.err[true], ErrPeerRefused) {
			return a.err[true]
		}
		return nil
	}},
	{"refused at the sender", func(t *testing.T, w *world) {
		w.pairing()
		w.users.mistakes = maxWrong
	}, func(a *attempt) error {
		if !errors.As(a.err[true], new(*PauseError)) {
			return a.err[true]
		}
		return nil
	}},
}

// TestUnpairedLearnsNothing: a stranger learns neither a name nor, from a sender that does not pair,
// even its key.
func TestUnpairedLearnsNothing(t *testing.T) {
	for _, c := range strangers {
		bubble(t, c.name, func(t *testing.T) {
			w := newWorld(t)
			c.ready(t, w)
			a := w.run(t, nil)
			if a.both() {
				t.Fatal("they trust each other")
			}
			if err := c.check(a); err != nil {
				t.Error(err)
			}
			if known := c.name == "unknown sender"; contains(a.heard[true], "laptop", "cameras") != known || contains(a.heard[false], "desktop") {
				t.Errorf("the sender stated %s, the viewer %s", a.heard[true], a.heard[false])
			}
		})
	}
}

// TestRefusals: whatever ends a pairing, neither end keeps the other.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name           string
		ready          func(*testing.T, *world)
		sender, viewer error
	}{
		{"nobody pairs", func(*testing.T, *world) {}, ErrNotPairing, context.Canceled},
		{"the viewer does not pair", func(_ *testing.T, w *world) { w.sender.Prompt = always(w.users) }, ErrPeerRefused, ErrNotPairing},
		{"the user does not confirm", func(_ *testing.T, w *world) { w.pairing().users.refuses = true }, ErrPeerRefused, ErrNotConfirmed},
		{"the user is away", func(_ *testing.T, w *world) { w.pairing().users.delay = time.Hour }, ErrTimeout, ErrTimeout},
	} {
		bubble(t, c.name, func(t *testing.T) {
			w := newWorld(t)
			c.ready(t, w)
			a := w.run(t, nil)
			// Of two ends that time out at once, one may hear of the other's first.
			if err := a.err[true]; !errors.Is(err, c.sender) && !(c.sender == ErrTimeout && errors.Is(err, ErrPeerRefused)) {
				t.Errorf("sender: %v, want %v", err, c.sender)
			}
			if err := a.err[false]; !errors.Is(err, c.viewer) && !(c.viewer == ErrTimeout && errors.Is(err, ErrPeerRefused)) {
				t.Errorf("viewer: %v, want %v", err, c.viewer)
			}
			w.checkNotPaired(t)
		})
	}
}

// TestPauseAfterWrongNumbers: after three wrong numbers nobody is asked for a minute.
func TestPauseAfterWrongNumbers(t *testing.T) {
	bubble(t, "pause", func(t *testing.T) {
		w := newWorld(t).pairing()
		w.users.mistakes = maxWrong
		begin := time.Now()
		a := w.run(t, nil)
		if !errors.As(a.err[true], new(*PauseError)) || !errors.Is(a.err[false], ErrPeerRefused) {
			t.Fatalf("sender: %v, viewer: %v", a.err[true], a.err[false])
		}
		w.users.mistakes = 0
		for time.Since(begin) < pause-beat {
			if a = w.run(t, nil); a.both() || !errors.As(a.err[true], new(*UnknownError)) || !errors.As(a.err[true], new(*PauseError)) {
				t.Fatalf("%v after that: sender: %v, viewer: %v", time.Since(begin), a.err[true], a.err[false])
			}
		}
		if len(w.users.typed) != maxWrong {
			t.Errorf("typed were %q", w.users.typed)
		}
		w.checkNotPaired(t)
		time.Sleep(pause - time.Since(begin) + beat)
		if a = w.run(t, nil); !a.both() {
			t.Errorf("after the pause: sender: %v, viewer: %v", a.err[true], a.err[false])
		}
	})
}

// TestKnownNameWithAnotherKey: who claims to be a paired computer is refused, also
// after the right number.
func TestKnownNameWithAnotherKey(t *testing.T) {
	for _, c := range []struct {
		end       string
		at        func(*world) *Store
		role      Role
		otherName string
	}{
		{"sender", func(w *world) *Store { return w.sender.Store }, RoleViewer, "anna@desktop"},
		{"viewer", func(w *world) *Store { return w.viewer.Store }, RoleSender, "anna@laptop"},
	} {
		bubble(t, c.end, func(t *testing.T) {
			w := newWorld(t).pairing()
			known := Peer{Key: Fingerprint{1}, Name: c.otherName, Role: c.role}
			if c.role == RoleViewer {
				known.Rights = &Rights{}
			}
			if err := c.at(w).Add(known); err != nil {
				t.Fatal(err)
			}
			a := w.run(t, nil)
			var taken *NameTakenError
			err := a.err[c.end == "sender"]
			if !errors.As(err, &taken) || taken.Known != known.Key || !strings.Contains(err.Error(), c.otherName) {
				t.Errorf("the %s returned %v", c.end, err)
			}
			if !errors.Is(a.err[c.end != "sender"], ErrPeerRefused) {
				t.Errorf("the other end returned %v", a.err[c.end != "sender"])
			}
			for _, s := range []*Store{w.sender.Store, w.viewer.Store} {
				if peers, _ := s.Peers(); len(peers) > 1 || len(peers) == 1 && peers[0].Key != known.Key {
					t.Errorf("kept are %v", peers)
				}
			}
		})
	}
}

func TestAllowUnpaired(t *testing.T) {
	bubble(t, "both", func(t *testing.T) {
		w := newWorld(t)
		w.sender.AllowUnpaired, w.viewer.AllowUnpaired = true, true
		a := w.run(t, nil)
		if !a.both() || !a.outcome[true].Unpaired || !a.outcome[false].Unpaired || !a.outcome[false].Rights.Equal(DefaultRights()) {
			t.Errorf("sender: %+v, %v, viewer: %+v, %v", a.outcome[true], a.err[true], a.outcome[false], a.err[false])
		}
		w.checkNotPaired(t)
	})
	bubble(t, "one", func(t *testing.T) {
		w := newWorld(t)
		w.sender.AllowUnpaired = true
		if a := w.run(t, nil); a.both() {
			t.Error("the viewer took an unknown sender")
		}
	})
}

// TestOwnKey: programs of one user need no pairing, and may do all.
func TestOwnKey(t *testing.T) {
	bubble(t, "both", func(t *testing.T) {
		w := newWorld(t)
		w.viewer.Store, w.viewer.Identity = w.sender.Store, w.sender.Identity
		a := w.run(t, nil)
		if !a.both() || !a.outcome[true].Own || !a.outcome[false].Own || a.outcome[true].Unpaired || !a.outcome[false].Rights.Control {
			t.Errorf("sender: %+v, %v, viewer: %+v, %v", a.outcome[true], a.err[true], a.outcome[false], a.err[false])
		}
		w.checkNotPaired(t)
	})
}

// TestOneKeyInTwoRoles: a computer whose frames are wanted may not watch.
func TestOneKeyInTwoRoles(t *testing.T) {
	bubble(t, "roles", func(t *testing.T) {
		w := newWorld(t)
		err := w.sender.Store.Add(Peer{Key: w.viewer.Identity.Fingerprint(), Name: "desktop", Role: RoleSender})
		if err != nil {
			t.Fatal(err)
		}
		if a := w.run(t, nil); !errors.As(a.err[true], new(*UnknownError)) {
			t.Errorf("the sender returned %v", a.err[true])
		}
	})
}

// TestFullDiskWhilePairing: neither end is paired, whichever has no room; and the other one hears of it.
func TestFullDiskWhilePairing(t *testing.T) {
	for _, sender := range []bool{true, false} {
		dir, fill := fullDisk(t)
		full, err := Open(dir)
		must(t, err)
		id, err := full.Identity()
		must(t, err)
		fill()
		bubble(t, fmt.Sprintf("sender=%v", sender), func(t *testing.T) {
			w := newWorld(t).pairing()
			end := &w.viewer.Config
			if sender {
				end = &w.sender.Config
			}
			end.Store, end.Identity = full, id
			a := w.run(t, nil)
			if !errors.Is(a.err[sender], syscall.ENOSPC) || !errors.Is(a.err[!sender], ErrPeerRefused) {
				t.Errorf("its error is %v, the other's %v", a.err[sender], a.err[!sender])
			}
			w.checkNotPaired(t)
		})
	}
}

// TestSlowDiskWhilePairing: while an end waits for a disk, it states and takes messages, so
// that the session lives; it is paired when the disk is done.
func TestSlowDiskWhilePairing(t *testing.T) {
	for _, slow := range []string{"sender", "viewer"} {
		t.Run(slow, func(t *testing.T) {
			w := newWorld(t).pairing()
			store := w.sender.Store
			if slow == "viewer" {
				store = w.viewer.Store
			}
			unlock, err := lockDir(store.dir) // as another process that is slow
			if err != nil {
				t.Fatal(err)
			}
			s, v := proveBoth(t, w)
			errs := make(chan error, 2)
			for _, h := range []*Handshake{s, v} {
				go func() { _, err := h.Run(t.Context()); errs <- err }()
			}
			waiting := time.AfterFunc(500*time.Millisecond, unlock)
			longest := time.Duration(0)
			for end := time.Now().Add(10 * time.Second); !(s.Welcomes() && v.Welcomes()) && time.Now().Before(end); time.Sleep(time.Millisecond) {
				begin := time.Now()
				if err := errors.Join(v.HandleMessage(s.Message()), s.HandleMessage(v.Message())); err != nil {
					t.Fatal(err)
				}
				longest = max(longest, time.Since(begin))
				if _, trusted := s.Outcome(); trusted && waiting.Stop() {
					t.Fatal("paired before the disk was done")
				}
			}
			if err := errors.Join(v.HandleMessage(s.Message()), s.HandleMessage(v.Message()), <-errs, <-errs); err != nil {
				t.Fatal(err)
			}
			if longest > 300*time.Millisecond {
				t.Errorf("a message waited %v for the disk", longest)
			}
		})
	}
}

// TestWrongClocks: certificates count whatever the clock of the host shows.
func TestWrongClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins in the year 2000
		w := newWorld(t).paired(t)
		time.Sleep(200 * 365 * 24 * time.Hour)
		if a := w.run(t, nil); !a.both() {
			t.Errorf("sender: %v, viewer: %v", a.err[true], a.err[false])
		}
	})
}
