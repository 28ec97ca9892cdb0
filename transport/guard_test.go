package transport_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/wire"
)

// guarded makes the cable a device whose ends prove themselves.
func (w *world) guarded() *transporttest.Trust {
	w.cable.Device = true
	tr := transporttest.NewTrust(w.T)
	tr.Guard(w.sender, w.receiver)
	return tr
}

// paired is guarded, and both ends know each other.
func (w *world) paired() *transporttest.Trust {
	tr := w.guarded()
	if err := tr.Pair(); err != nil {
		w.Fatal(err)
	}
	return tr
}

// TestKnownPeersAreServed: all but the greeting is sealed, nothing of a frame passes in
// the clear, and the first frame takes no round trip more than without.
func TestKnownPeersAreServed(t *testing.T) {
	first := map[bool]time.Duration{}
	for _, guarded := range []bool{false, true} {
		inWorld(t, func(w *world) {
			w.cable.Device = true
			w.cable.Delay = func(*transporttest.End) time.Duration { return 20 * time.Millisecond }
			if guarded {
				w.paired()
			}
			clear := map[wire.Type]int{}
			w.watchRecords(func(_ *transporttest.End, h wire.Header) {
				w.cable.Change(func() {
					if h.Flags&wire.Sealed == 0 {
						clear[h.Type]++
					}
				})
			})
			w.stream.Start(capture.Want{})
			w.viewing = start(w.receiver.Run)
			time.Sleep(time.Millisecond) // until its device is open
			begin := time.Now()
			w.sending = start(w.sender.Run)
			w.waitForFrames(1, 3*time.Second)
			first[guarded] = time.Since(begin)
			w.waitForFrames(60, 5*time.Second)
			w.cable.Change(func() {
				for _, typ := range []wire.Type{wire.Hello, wire.Welcome, wire.Ping, wire.Auth} {
					delete(clear, typ)
				}
				delete(clear, 0) // padding
			})
			if guarded && len(clear) > 0 {
				t.Errorf("unsealed are %v", clear)
			}
			if s := w.receiver.Stats(); s.Damage.Records > 0 {
				t.Errorf("damaged are %+v", s.Damage)
			}
		})
	}
	if first[true] > first[false]+time.Millisecond {
		t.Errorf("the first frame came after %v, without a proof after %v", first[true], first[false])
	}
}

// TestUnsealedFrames: whichever end asks for it, frames go without a seal, with a checksum, and
// nothing else does. The other end logs that. A frame without a seal counts only where one
// end has asked.
func TestUnsealedFrames(t *testing.T) {
	for name, ask := range map[string]func(*world){
		"sender": func(w *world) { w.sender.UnsealedFrames = true },
		"viewer": func(w *world) { w.receiver.UnsealedFrames = true },
		"none":   func(*world) {},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.paired()
				ask(w)
				sealed, clear := map[wire.Type]int{}, map[wire.Type]int{}
				w.watchRecords(func(_ *transporttest.End, h wire.Header) {
					counts := clear
					if h.Flags&wire.Sealed != 0 {
						counts = sealed
					} else if h.Flags&wire.Unchecked != 0 {
						t.Errorf("%v goes without a checksum", h.Type)
					}
					w.cable.Change(func() { counts[h.Type]++ })
				})
				w.startBoth()
				w.waitForFrames(60, 5*time.Second)
				want := name != "none"
				w.cable.Change(func() {
					if (clear[wire.Frame] > 0) != want || (sealed[wire.Frame] > 0) == want || clear[wire.Mode] > 0 || clear[wire.Credit] > 0 {
						t.Errorf("sealed are %v, unsealed %v", sealed, clear)
					}
				})
				if strings.Contains(w.log.String(), "frames are not sealed") != want {
					t.Errorf("the log is\n%v", w.log)
				}
			})
		})
	}
}

// TestForgedFrames: where frames are sealed, one without a seal counts for nothing, also before
// the peer has proven itself.
func TestForgedFrames(t *testing.T) {
	inWorld(t, func(w *world) {
		w.paired()
		w.cable.Change(func() {
			w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
				h, _, err := wire.Parse(packet)
				if err != nil || from != w.cable.Sender || h.Type != wire.Auth && h.Flags&wire.Sealed == 0 {
					return packet
				}
				forged := wire.Header{Type: wire.Frame, Flags: wire.First | wire.Last, Stream: 1, Session: h.Session, Sequence: h.Sequence}
				meta := wire.FrameHeader{Mode: 1, Size: 5}
				return append(wire.Append(nil, forged, append(meta.Append(nil), "false"...)), packet...)
			}
		})
		w.startBoth()
		w.waitForFrames(30, 5*time.Second) // the screen checks each
		if s := w.receiver.Stats(); s.Sessions != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestPairingOverALine: strangers have frames once a user has typed the number, and the
// next time without.
func TestPairingOverALine(t *testing.T) {
	inWorld(t, func(w *world) {
		tr := w.guarded()
		tr.AskUser()
		w.startBoth()
		w.waitForFrames(10, 5*time.Second)
		if !strings.Contains(w.log.String(), "viewer connected: viewer on anna@desktop") {
			t.Errorf("the log is\n%v", w.log)
		}
		w.stop(w.viewing)
		w.stop(w.sending)
		tr.Sender.Prompt, tr.Viewer.Prompt = nil, nil
		w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
		w.waitForFrames(10, 6*time.Second)
	})
}

// TestStrangersGetNothing: whichever end does not know the other, no camera is started,
// and nothing but the greeting and Auth records passes.
func TestStrangersGetNothing(t *testing.T) {
	for name, forget := range map[string]func(*transporttest.Trust) error{
		"none knows the other": func(tr *transporttest.Trust) error { return nil },
		"the viewer is unknown": func(tr *transporttest.Trust) error {
			return tr.Viewer.Store.Add(trust.Peer{Key: tr.Sender.Identity.Fingerprint(), Name: "laptop", Role: trust.RoleSender})
		},
		"the sender is unknown": func(tr *transporttest.Trust) error {
			return tr.Sender.Store.Add(trust.Peer{Key: tr.Viewer.Identity.Fingerprint(), Name: "desktop", Role: trust.RoleViewer, Rights: &trust.Rights{}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if err := forget(w.guarded()); err != nil {
					t.Fatal(err)
				}
				w.checkNothingPasses(10 * time.Second)
			})
		})
	}
}

// checkNothingPasses runs both programs for a time and fails the test if the viewer
// gets anything.
func (w *world) checkNothingPasses(d time.Duration) {
	w.Helper()
	allowed := map[wire.Type]bool{0: true, wire.Hello: true, wire.Welcome: true, wire.Ping: true, wire.Auth: true, wire.Bye: true, wire.ByeAck: true}
	var others []wire.Type
	w.watchRecords(func(from *transporttest.End, h wire.Header) {
		// A sender that knows the viewer may answer its Ping; what is sealed it can keep.
		if !allowed[h.Type] && !(h.Type == wire.Pong && h.Flags&wire.Sealed != 0) {
			w.cable.Change(func() { others = append(others, h.Type) })
		}
	})
	w.startBoth()
	time.Sleep(d)
	w.cable.Change(func() {
		if len(others) > 0 {
			w.Errorf("passed have %v", others)
		}
	})
	if starts := w.starts(); starts > 0 || w.screen.Frames() > 0 || w.receiver.Stats().Sessions > 0 {
		w.Errorf("%d starts, %d frames, %d sessions", starts, w.screen.Frames(), w.receiver.Stats().Sessions)
	}
	if n := strings.Count(w.log.String(), "not paired"); n < 1 || n > 6 {
		w.Errorf("%d lines of log in %v:\n%v", n, d, w.log)
	}
}

// TestAuthenticationCannotBeRemoved: an end that proves itself refuses one that does not,
// and one whose proof was taken out on the way.
func TestAuthenticationCannotBeRemoved(t *testing.T) {
	for name, change := range map[string]func(*world){
		"the viewer proves nothing": func(w *world) { w.receiver.Trust = nil },
		"the sender proves nothing": func(w *world) { w.sender.Trust = nil },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.paired()
				change(w)
				w.startBoth()
				time.Sleep(10 * time.Second)
				if w.screen.Frames() > 0 || w.starts() > 0 {
					t.Errorf("%d frames came", w.screen.Frames())
				}
			})
		})
	}
}

// TestForgottenPeerIsDisconnected: within a second, and it does not come back.
func TestForgottenPeerIsDisconnected(t *testing.T) {
	for _, role := range []trust.Role{trust.RoleViewer, trust.RoleSender} {
		t.Run(string(role), func(t *testing.T) {
			inWorld(t, func(w *world) {
				tr := w.paired()
				w.startBoth()
				w.waitForFrames(10, 3*time.Second)
				store, name := tr.Sender.Store, "desktop"
				if role == trust.RoleSender {
					store, name = tr.Viewer.Store, "laptop"
				}
				if _, err := store.Forget(role, name); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				frames := w.screen.Frames()
				time.Sleep(10 * time.Second)
				if more := w.screen.Frames() - frames; more > 0 {
					t.Errorf("%d frames came later than a second", more)
				}
			})
		})
	}
}

// TestRightsReachTheProgram: when a session begins, and when they change.
func TestRightsReachTheProgram(t *testing.T) {
	inWorld(t, func(w *world) {
		tr := w.paired()
		outcomes := make(chan trust.Outcome, 10)
		w.sender.Trusted = func(o trust.Outcome) {
			if o.Peer.Name != "desktop" || w.starts() > 0 && len(outcomes) == 0 && !o.Rights.Control {
				t.Errorf("after %d starts: %+v", w.starts(), o)
			}
			outcomes <- o
		}
		w.startBoth()
		w.waitForFrames(1, 3*time.Second)
		if o := <-outcomes; o.Rights.Control || !o.Rights.AllowsCamera(capture.Device{}) {
			t.Errorf("first they are %v", o.Rights)
		}
		if _, err := tr.Sender.Store.Grant("desktop", func(r *trust.Rights) { r.Control = true }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if o := <-outcomes; !o.Rights.Control {
			t.Errorf("then they are %v", o.Rights)
		}
	})
}

// starts and stops return how many requests the producer has got.
func (w *world) starts() int {
	starts, _ := w.feed.Requests()
	return len(starts)
}

func (w *world) stops() int {
	_, stops := w.feed.Requests()
	return stops
}

// TestInjectedRecords: records of an older session, of the other direction, without a seal, or with
// another header change nothing.
func TestInjectedRecords(t *testing.T) {
	inWorld(t, func(w *world) {
		w.paired()
		tapped := map[*transporttest.End][][]byte{}
		inject := map[*transporttest.End][][]byte{}
		w.cable.Change(func() {
			w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
				if h, _, err := wire.Parse(packet); err == nil && h.Type != 0 {
					tapped[from] = append(tapped[from], bytes.Clone(packet))
				}
				for _, record := range inject[from] {
					packet = append(bytes.Clone(record), packet...)
				}
				inject[from] = nil
				return packet
			}
		})
		w.startBoth()
		w.waitForFrames(30, 5*time.Second)
		for name, forge := range forgeries {
			stops := w.stops()
			w.cable.Change(func() {
				for _, end := range []*transporttest.End{w.cable.Sender, w.cable.Viewer} {
					other := w.cable.Sender
					if end == other {
						other = w.cable.Viewer
					}
					inject[end] = forge(tapped[end], tapped[other])
				}
			})
			w.waitForFrames(30, 3*time.Second)
			if s := w.receiver.Stats(); s.Sessions != 1 || w.stops() != stops {
				t.Errorf("%s: %+v, %d stops", name, s, w.stops()-stops)
			}
		}
	})
}

// forgeries make records of those that an end and the other one have written.
var forgeries = map[string]func(own, other [][]byte) [][]byte{
	"replayed":        func(own, _ [][]byte) [][]byte { return own[len(own)-5:] },
	"other direction": func(_, other [][]byte) [][]byte { return renumbered(other[len(other)-5:], 1000) },
	"renumbered":      func(own, _ [][]byte) [][]byte { return renumbered(own[len(own)-5:], 1000) },
	"unsealed": func(own, _ [][]byte) [][]byte {
		h, _, _ := wire.Parse(own[len(own)-1])
		var records [][]byte
		for _, typ := range []wire.Type{wire.Stop, wire.Start, wire.Bye, wire.Ping, wire.Pong, wire.Status, wire.Auth} {
			stream := uint16(1)
			if typ == wire.Bye || typ == wire.Ping || typ == wire.Pong || typ == wire.Auth {
				stream = 0
			}
			records = append(records, wire.Append(nil, wire.Header{Type: typ, Stream: stream, Session: h.Session, Sequence: h.Sequence + 1000}, []byte(`{"number":99}`)))
		}
		return records
	},
	"with another type": func(own, _ [][]byte) [][]byte {
		h, payload, _ := wire.Parse(own[len(own)-1])
		h.Type, h.Sequence = wire.Stop, h.Sequence+1
		h.Stream = 1
		return [][]byte{wire.Append(nil, h, payload)}
	},
}

// TestRecordsOfAnOlderSession: what the same two computers have sealed before counts for nothing,
// whatever session and place a middleman gives it.
func TestRecordsOfAnOlderSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.paired()
		w.sizes(func(uint32) int { return 500 })
		var session uint32
		var older, inject [][]byte
		w.cable.Change(func() {
			w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
				h, _, err := wire.Parse(packet)
				if err != nil || from != w.cable.Sender || h.Flags&wire.Sealed == 0 {
					return packet
				}
				session = h.Session
				whole := slices.Concat(append(inject, packet)...)
				inject, older = nil, append(older, bytes.Clone(packet))
				return whole
			}
		})
		w.startBoth()
		w.waitForFrames(30, 5*time.Second)
		w.stop(w.sending)
		var last uint32
		w.cable.Change(func() { last = session })
		w.sending = start(w.sender.Run)
		w.waitForFrames(30, 5*time.Second)
		w.cable.Change(func() {
			for _, record := range older[:20] {
				h, payload, _ := wire.Parse(record)
				h.Session, h.Sequence = session, h.Sequence+1000
				inject = append(inject, wire.Append(nil, h, payload))
			}
		})
		w.waitForFrames(30, 3*time.Second)
		if s := w.receiver.Stats(); s.Sessions != 2 || session == last || s.Damage.Records < 20 {
			t.Errorf("%+v, session %d after %d", s, session, last)
		}
	})
}

// renumbered moves records in their sequence.
func renumbered(records [][]byte, by uint32) (moved [][]byte) {
	for _, record := range records {
		h, payload, _ := wire.Parse(record)
		h.Sequence += by
		moved = append(moved, wire.Append(nil, h, payload))
	}
	return moved
}

// TestGreetingsOfAStranger: what a stranger learns is program, version and protocol.
func TestGreetingsOfAStranger(t *testing.T) {
	inWorld(t, func(w *world) {
		w.guarded()
		w.sending = start(w.sender.Run)
		i := w.impostor(w.cable.Viewer)
		hello := i.read(wire.Hello)
		checkGreeting(t, hello)
		i.write(wire.Welcome, transport.Encode(transport.OwnPeer("tbcam-view", "evil")))
		i.write(wire.List, nil)
		i.write(wire.Start, []byte(`{"number":1}`))
		i.write(wire.Credit, wire.AppendCredit(nil, 5))
		for {
			h, payload, err := i.reader.Next()
			if err != nil {
				break
			}
			if h.Type != wire.Bye && h.Type != wire.ByeAck && h.Type != wire.Hello {
				t.Errorf("it gets %v: %s", h.Type, payload)
			}
			if h.Type == wire.Bye {
				i.write(wire.ByeAck, nil)
			}
		}
	})
	inWorld(t, func(w *world) {
		tr := w.guarded()
		w.viewing = start(w.receiver.Run)
		time.Sleep(time.Millisecond) // until its device is open
		i := w.impostor(w.cable.Sender)
		s, err := trust.NewSender(tr.Sender)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		self := transport.OwnPeer("tbcam-send", "evil")
		self.Auth = s.Flight()
		i.write(wire.Hello, transport.Encode(self))
		checkGreeting(t, i.read(wire.Welcome))
	})
}

func checkGreeting(t *testing.T, payload []byte) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(payload, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		switch name {
		case "program", "version", "protocol", "features", "auth":
		default:
			if value != "" {
				t.Errorf("it states %s: %v", name, value)
			}
		}
	}
}

// TestFloodOfGreetings: a sender that greets again and again costs no more proofs than
// are allowed in one opening.
func TestFloodOfGreetings(t *testing.T) {
	inWorld(t, func(w *world) {
		tr := w.guarded()
		var proofs atomic.Int32
		w.receiver.Trust = func() trust.ViewerConfig { proofs.Add(1); return tr.Viewer }
		w.viewing = start(w.receiver.Run)
		time.Sleep(time.Millisecond) // until its device is open
		i := w.impostor(w.cable.Sender)
		for n := range uint32(100) {
			s, err := trust.NewSender(tr.Sender)
			if err != nil {
				t.Fatal(err)
			}
			self := transport.OwnPeer("tbcam-send", "evil")
			self.Auth = s.Flight()
			s.Close()
			i.session = 7 + n
			i.write(wire.Hello, transport.Encode(self))
		}
		time.Sleep(time.Second)
		if n := proofs.Load(); n > 17 {
			t.Errorf("%d proofs", n)
		}
	})
}
