package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/wire"
)

// trace is what was written, in order.
type trace struct {
	cable *transporttest.Cable
	steps []step
}

type step struct {
	from *transporttest.End
	h    wire.Header
}

func (w *world) trace() *trace {
	t := &trace{cable: w.cable}
	w.watchRecords(func(from *transporttest.End, h wire.Header) {
		w.cable.Change(func() { t.steps = append(t.steps, step{from, h}) })
	})
	return t
}

// check checks the order of every session.
func (t *trace) check(w *world) {
	w.Helper()
	var steps []step
	w.cable.Change(func() { steps = slices.Clone(t.steps) })
	type key struct {
		session uint32
		t       wire.Type
	}
	count := map[key]int{}
	for i, s := range steps {
		had := func(typ wire.Type) bool { return count[key{s.h.Session, typ}] > 0 }
		var ok bool
		switch s.h.Type {
		case wire.Hello:
			ok = s.from == t.cable.Sender && !had(wire.Ping) || count[key{s.h.Session, wire.Hello}] < transport.Hellos
		case wire.Welcome:
			ok = s.from == t.cable.Viewer && had(wire.Hello)
		case wire.Ping:
			ok = s.from == t.cable.Viewer && had(wire.Welcome)
		case wire.Pong:
			ok = s.from == t.cable.Sender && had(wire.Ping)
		case wire.Start, wire.Stop, wire.Credit, wire.List, wire.Set:
			ok = s.from == t.cable.Viewer && had(wire.Pong)
		case wire.Status, wire.Controls:
			ok = s.from == t.cable.Sender && had(wire.Welcome)
		case wire.Mode, wire.Frame:
			ok = s.from == t.cable.Sender && had(wire.Start) && had(wire.Credit)
		default:
			ok = true
		}
		if !ok {
			w.Errorf("record %d is a %v out of its turn", i, s.h.Type)
		}
		count[key{s.h.Session, s.h.Type}]++
	}
}

func TestOpening(t *testing.T) {
	for _, device := range []bool{false, true} {
		for name, order := range map[string]struct{ sender, viewer time.Duration }{
			"sender first":    {0, 5 * time.Second},
			"viewer first":    {5 * time.Second, 0},
			"both at once":    {0, 0},
			"sender a little": {0, 300 * time.Millisecond},
		} {
			t.Run(fmt.Sprintf("device=%t/%s", device, name), func(t *testing.T) {
				inWorld(t, func(w *world) { testOpening(w, device, order.sender, order.viewer) })
			})
		}
	}
}

func testOpening(w *world, device bool, sender, viewer time.Duration) {
	if device {
		w.cable.Device, w.cable.Sender.Pause, w.cable.Viewer.Pause = true, 2*time.Second, 1200*time.Millisecond
	}
	trace := w.trace()
	w.stream.Start(capture.Want{})
	w.sending = start(func(ctx context.Context) error {
		time.Sleep(sender)
		w.feed.Report(transport.Status{State: transport.Running})
		return w.sender.Run(ctx)
	})
	w.viewing = start(func(ctx context.Context) error {
		time.Sleep(viewer)
		return w.receiver.Run(ctx)
	})
	time.Sleep(max(sender, viewer))
	w.waitForFrames(10, 5*time.Second)
	trace.check(w)
	if s := w.receiver.Stats(); s.Sessions != 1 || w.stream.Stats().Lost != 0 {
		w.Errorf("%+v", s)
	}
}

func TestStartAndStop(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
		time.Sleep(3 * time.Second)
		if starts, _ := w.feed.Requests(); w.screen.Frames() != 0 || len(starts) != 0 {
			t.Fatalf("%d frames, %d starts before Start", w.screen.Frames(), len(starts))
		}
		wants := []capture.Want{{Camera: "a", Pixel: capture.MJPEG, Width: 640, Height: 480, FPS: 29.97}, {Camera: "b"}, {Camera: "b"}}
		for i, want := range wants {
			w.stream.Start(want)
			w.waitForFrames(20, time.Second)
			time.Sleep(3 * time.Second)
			if starts, _ := w.feed.Requests(); !slices.Equal(starts, wants[:i+1]) {
				t.Fatalf("starts: %v, want %v", starts, wants[:i+1])
			}
		}
		w.stream.Stop()
		time.Sleep(time.Second)
		n := w.screen.Frames()
		time.Sleep(3 * time.Second)
		if _, stops := w.feed.Requests(); w.screen.Frames() != n || stops != 1 {
			t.Errorf("%d frames after Stop, %d stops", w.screen.Frames()-n, stops)
		}
		w.stream.Start(capture.Want{})
		w.waitForFrames(20, time.Second)
		if s := w.receiver.Stats(); s.Sessions != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestModeChange(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		w.waitForFrames(5, time.Second)
		small := *transporttest.MJPEG720
		small.Format.Width, small.Format.Height, small.Camera = 640, 480, "small\x1b[2J"
		w.feed.SetMode(&small)
		w.waitForFrames(100, 4*time.Second)
		got := w.screen.Events()
		if len(got.Modes) != 2 || got.Modes[1].Number != 2 || got.Modes[1].Camera != "small\uFFFD[2J" {
			t.Errorf("modes: %+v", got.Modes)
		}
		if formats := slices.Compact(got.Formats); !slices.Equal(formats, []capture.Format{transporttest.MJPEG720.Format, small.Format}) {
			t.Errorf("formats: %v", formats)
		}
	})
}

// A viewer or a line that is slow gets the newest frames, and never has more
// than the window on its way.
func TestNewestWins(t *testing.T) {
	for name, c := range map[string]struct {
		slow time.Duration // viewer
		rate int           // line
	}{
		"slow viewer":     {slow: 150 * time.Millisecond},
		"slow line":       {rate: 1_000_000},
		"very slow line":  {rate: 250_000},
		"both":            {slow: 70 * time.Millisecond, rate: 1_000_000},
		"neither is slow": {},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) { testNewestWins(w, c.slow, c.rate) })
		})
	}
}

func testNewestWins(w *world, slow time.Duration, rate int) {
	const size = 100_000
	w.sizes(func(uint32) int { return size })
	w.cable.Rate, w.screen.Slow = rate, slow
	transfer := time.Duration(0)
	if rate != 0 {
		transfer = size * time.Second / time.Duration(rate)
	}
	sent := 0
	w.watchRecords(func(_ *transporttest.End, h wire.Header) {
		if h.Type != wire.Frame {
			return
		}
		sent++
		if onTheWay := sent - w.screen.Frames(); onTheWay > 2 {
			w.Errorf("%d frames are on the way", onTheWay)
		}
	})
	w.sender.Sent = func(_ int, f *capture.Frame) {
		if age := f.At[capture.Sent].Sub(f.Time); age > w.feed.Period {
			w.Errorf("frame %d was %v old when its first byte was written", f.Sequence, age)
		}
	}
	captured := func(f *capture.Frame) time.Time {
		at, _ := w.feed.CapturedAt(f.Sequence)
		return at
	}
	w.screen.Seen = func(f *capture.Frame) {
		// The one before it may still be on the line, or with the viewer.
		limit := w.feed.Period + 2*transfer + 2*slow + 5*time.Millisecond
		if age := time.Since(captured(f)); age > limit {
			w.Errorf("frame %d is %v old, allowed are %v", f.Sequence, age, limit)
		}
	}
	w.startBoth()
	time.Sleep(10 * time.Second)
	expected := int(9 * time.Second / max(w.feed.Period, transfer, slow))
	if n := w.screen.Frames(); n < expected {
		w.Errorf("%d frames, expected are %d", n, expected)
	}
	if s := w.receiver.Stats(); w.stream.Stats().Lost != 0 || s.Sessions != 1 {
		w.Errorf("%+v", s)
	}
}

// A heartbeat does not wait until a large frame is through.
func TestControlPassesBetweenPieces(t *testing.T) {
	inWorld(t, func(w *world) {
		inside, passed := false, 0
		w.watchRecords(func(_ *transporttest.End, h wire.Header) {
			switch {
			case h.Type == wire.Frame:
				inside = h.Flags&wire.Last == 0
			case h.Type == wire.Pong && inside:
				passed++
			}
		})
		w.sizes(func(uint32) int { return 2_500_000 })
		w.cable.Rate = 1_000_000
		w.startBoth()
		w.waitForFrames(3, 12*time.Second)
		if passed < 10 {
			t.Errorf("%d heartbeats passed between the pieces", passed)
		}
	})
}

// What is lost or changed on the way costs the frames that were hit, and never
// the session, a credit or a word of control.
func TestDamage(t *testing.T) {
	for name, damage := range damages {
		for _, oneIn := range []int{5, 50, 500} {
			for seed := range uint64(2) {
				t.Run(fmt.Sprintf("%s/1 in %d/seed=%d", name, oneIn, seed), func(t *testing.T) {
					inWorld(t, func(w *world) { testDamage(w, oneIn, seed, damage) })
				})
			}
		}
	}
}

// TestDamageOfSeals: a record that was hit costs no more where its seal shows that.
func TestDamageOfSeals(t *testing.T) {
	for name, damage := range damages {
		for _, oneIn := range []int{5, 50, 500} {
			for _, unsealed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/1 in %d/unsealed frames=%v", name, oneIn, unsealed), func(t *testing.T) {
					inWorld(t, func(w *world) {
						w.paired()
						w.receiver.UnsealedFrames = unsealed
						testDamage(w, oneIn, 0, damage)
					})
				})
			}
		}
	}
}

// damages are what may become of a packet.
var damages = map[string]func(r *rand.Rand, p []byte) []byte{
	"flip":   func(r *rand.Rand, p []byte) []byte { p[r.IntN(len(p))] ^= 1 << r.IntN(8); return p },
	"lose":   func(*rand.Rand, []byte) []byte { return nil },
	"cut":    func(r *rand.Rand, p []byte) []byte { return p[:r.IntN(len(p))] },
	"repeat": func(_ *rand.Rand, p []byte) []byte { return append(p, p...) },
	"zero":   func(_ *rand.Rand, p []byte) []byte { clear(p); return p },
}

func testDamage(w *world, oneIn int, seed uint64, damage func(*rand.Rand, []byte) []byte) {
	r, hits := rand.New(rand.NewPCG(seed, uint64(oneIn))), 0
	w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
		if r.IntN(oneIn) != 0 {
			return packet
		}
		hits++
		return damage(r, packet)
	}
	w.cable.Device = true
	if oneIn < 500 {
		w.sizes(func(number uint32) int { return 1 + int(number%5)*3_000 })
	}
	w.startBoth()
	time.Sleep(10 * time.Second)
	changed := *transporttest.MJPEG720
	w.feed.SetMode(&changed)
	w.stream.Start(capture.Want{Camera: "another"})
	w.feed.Report(transport.Status{State: transport.Running, Text: "reported once"})
	time.Sleep(10 * time.Second)
	healthy := w.screen.Frames()
	w.cable.Change(func() { w.cable.Damage = whole })
	w.waitForFrames(60, 4*time.Second)
	s := w.receiver.Stats()
	w.Logf("%d hits, %d frames, then %+v", hits, healthy, s)
	got := w.screen.Events()
	if s.Sessions != 1 && oneIn > 5 { // else silence may be taken for death or sleep
		w.Errorf("%d sessions; %v\n%v", s.Sessions, got.Ends, w.log)
	}
	for _, err := range got.Ends {
		if !errors.Is(err, transport.ErrPeerDead) && !errors.Is(err, transport.ErrStill) && !errors.Is(err, io.EOF) {
			w.Errorf("a session ended with: %v", err)
		}
	}
	if starts, _ := w.feed.Requests(); starts[len(starts)-1].Camera != "another" {
		w.Errorf("the last Start was lost")
	}
	if n := len(got.Statuses); n == 0 || got.Statuses[n-1].Text != "reported once" {
		w.Errorf("the Status was lost")
	}
}

func TestSilentPeer(t *testing.T) {
	for _, direction := range []string{"sender", "viewer"} {
		t.Run(direction, func(t *testing.T) { inWorld(t, func(w *world) { testSilentPeer(w, direction) }) })
	}
}

func testSilentPeer(w *world, direction string) {
	w.startBoth()
	w.waitForFrames(30, 2*time.Second)
	silent := w.cable.Sender
	if direction == "viewer" {
		silent = w.cable.Viewer
	}
	begun := time.Now()
	w.cable.Change(func() {
		w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
			if from == silent {
				return nil
			}
			return packet
		}
	})
	w.waitFor(3*time.Second, "end of the session", func() bool { return len(w.screen.Events().Ends) > 0 })
	if took := time.Since(begun); took < transport.Liveness-transport.PingEvery || took > transport.Liveness+transport.PingEvery {
		w.Errorf("it took %v to notice", took)
	}
	if err := w.screen.Events().Ends[0]; direction == "sender" && !errors.Is(err, transport.ErrPeerDead) {
		w.Errorf("it ended with: %v", err)
	}
	time.Sleep(10 * time.Second)
	w.cable.Change(func() { w.cable.Damage = whole })
	w.waitForFrames(30, 4*time.Second)
	if n := strings.Count(w.log.String(), "\n"); n > 8 {
		w.Errorf("%d lines were logged:\n%v", n, w.log)
	}
}

func TestReconnect(t *testing.T) {
	for name, interrupt := range map[string]func(w *world){
		"cut": func(w *world) { w.cable.Cut() },
		"sender ends": func(w *world) {
			w.stop(w.sending)
			w.sending = start(w.sender.Run)
		},
		"viewer ends": func(w *world) {
			w.stop(w.viewing)
			w.viewing = start(w.receiver.Run)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				trace := w.trace()
				w.startBoth()
				for i := range 20 {
					w.waitForFrames(10, time.Second)
					interrupt(w)
					w.waitForFrames(1, time.Second)
					if s := w.receiver.Stats(); s.Sessions != uint64(i+2) {
						t.Fatalf("after %d: %+v", i+1, s)
					}
				}
				trace.check(w)
				if got := w.screen.Events(); len(got.Peers) != 21 || len(got.Ends) != 20 {
					t.Errorf("%d sessions connected, %d disconnected", len(got.Peers), len(got.Ends))
				}
			})
		})
	}
}

// Records that an older session left on a device are passed over.
func TestStaleRecords(t *testing.T) {
	t.Run("checked", func(t *testing.T) { inWorld(t, testStaleRecords) })
	t.Run("sealed", func(t *testing.T) {
		inWorld(t, func(w *world) { w.paired(); testStaleRecords(w) })
	})
}

func testStaleRecords(w *world) {
	w.cable.Device, w.cable.Sender.Pause, w.cable.Viewer.Pause = true, 2*time.Second, 1200*time.Millisecond
	w.stream.Start(capture.Want{})
	w.viewing = start(w.receiver.Run)
	time.Sleep(time.Second)
	w.cable.Sender.Pause = 0
	old, err := w.cable.Sender.Open(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	hello := transport.Encode(w.oldHello())
	for i, r := range [][]byte{
		wire.Append(nil, wire.Header{Type: wire.Hello, Session: 5}, hello),
		wire.Append(nil, wire.Header{Type: wire.Mode, Session: 4, Stream: 1}, transport.Encode(transport.Mode{Number: 1, Format: transporttest.MJPEG720.Format})),
		wire.Append(nil, wire.Header{Type: wire.Frame, Session: 5, Stream: 1, Sequence: 1}, []byte("of no use")),
	} {
		if err := old.WriteBuffers([][]byte{r}); err != nil {
			w.Fatal(i, err)
		}
	}
	w.sending = start(w.sender.Run) // opens while the old one is open: nobody saw it close
	w.waitForFrames(10, 5*time.Second)
	w.stop(w.viewing)
	if s := w.receiver.Stats(); s.Sessions != 1 || s.Stale == 0 {
		w.Errorf("%+v", s)
	}
}

// oldHello is the greeting of a sender that has gone; with a proof where there are proofs.
func (w *world) oldHello() transport.Peer {
	p := transport.OwnPeer("tbcam-send", "old")
	if w.sender.Trust == nil {
		return p
	}
	s, err := trust.NewSender(w.sender.Trust())
	if err != nil {
		w.Fatal(err)
	}
	defer s.Close()
	p.Auth = s.Flight()
	return p
}

func TestGoodbye(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		w.waitForFrames(10, time.Second)
		begun := time.Now()
		w.stop(w.viewing)
		if took := time.Since(begun); took > 50*time.Millisecond {
			t.Errorf("the viewer's Bye took %v", took)
		}
		time.Sleep(time.Second)
		if _, stops := w.feed.Requests(); stops != 1 || !strings.Contains(w.log.String(), "viewer disconnected: viewer was closed") {
			t.Errorf("the sender did not read the Bye:\n%v", w.log)
		}
		w.viewing = start(w.receiver.Run)
		w.waitForFrames(10, time.Second)
		begun = time.Now()
		w.stop(w.sending)
		if took := time.Since(begun); took > 50*time.Millisecond {
			t.Errorf("the sender's Bye took %v", took)
		}
		w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 2 })
		if err := w.screen.Events().Ends[1]; err.Error() != "sender was closed" {
			t.Errorf("the viewer's session ended with: %v", err)
		}
	})
}

// A feed that ends was seen to its end.
func TestFeedEnds(t *testing.T) {
	for name, c := range map[string]struct{ viewer time.Duration }{"fast": {}, "slow": {300 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.feed.Period, w.feed.Count, w.screen.Slow = 0, 25, c.viewer
				w.startBoth()
				<-w.sending.done
				if w.sending.err != nil || w.screen.Frames() != 25 {
					t.Errorf("%d frames of 25; %v", w.screen.Frames(), w.sending.err)
				}
			})
		})
	}
}

// A viewer that ends with the last frame has all of them, whichever Bye comes first.
func TestBothEndWithTheLastFrame(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				r, line := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
				w.cable.Delay = func(*transporttest.End) time.Duration { return time.Duration(line.Int64N(1000)) }
				w.feed.Period, w.feed.Count = 0, 5
				last := make(chan struct{})
				w.screen.Seen = func(f *capture.Frame) {
					if f.Sequence == 5 {
						close(last)
					}
				}
				w.startBoth()
				begun := time.Now()
				<-last
				time.Sleep(time.Duration(r.Int64N(1000)))
				w.viewing.cancel()
				<-w.sending.done
				<-w.viewing.done
				if took := time.Since(begun); w.sending.err != nil || w.screen.Frames() != 5 || took > 100*time.Millisecond {
					t.Errorf("%d frames, %v, after %v", w.screen.Frames(), w.sending.err, took)
				}
			})
		})
	}
}

func TestFeedFails(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mayFail = true
		w.feed.Period, w.feed.Count, w.feed.Err = 0, 3, errors.New("out of memory")
		w.startBoth()
		<-w.sending.done
		if !errors.Is(w.sending.err, w.feed.Err) {
			t.Errorf("the sender ended with: %v", w.sending.err)
		}
		w.waitFor(time.Second, "Bye", func() bool { return len(w.screen.Events().Ends) == 1 })
		if err := w.screen.Events().Ends[0].Error(); err != "out of memory" {
			t.Errorf("the viewer's session ended with: %v", err)
		}
	})
}

// A viewer that went away before its ByeAck may lack frames.
func TestFeedEndsUnseen(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mayFail = true
		w.feed.Period, w.feed.Count = 0, 3
		w.watchRecords(func(_ *transporttest.End, h wire.Header) {
			if h.Type == wire.ByeAck {
				w.cable.Cut()
			}
		})
		w.cable.Delay = func(*transporttest.End) time.Duration { return 10 * time.Millisecond }
		w.startBoth()
		<-w.sending.done
		if err := w.sending.err; err == nil || !errors.Is(err, io.EOF) || !strings.HasPrefix(err.Error(), "end the stream: ") {
			t.Errorf("the sender ended with: %v", err)
		}
	})
}

// Both may end at any moment, and lose nothing that must be given back.
func TestEndAtAnyMoment(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				r, line := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
				moment := func(scale time.Duration) time.Duration { return time.Duration(r.Int64N(int64(scale))) }
				w.cable.Delay = func(*transporttest.End) time.Duration { return time.Duration(line.Int64N(2e6)) }
				w.feed.Period = moment(4*time.Millisecond) + 1
				w.cable.Rate = 10_000_000
				w.startBoth()
				time.Sleep(moment([]time.Duration{time.Microsecond, 5 * time.Millisecond, 100 * time.Millisecond}[seed%3]))
				first, second := w.sending, w.viewing
				if seed%2 == 0 {
					first, second = second, first
				}
				begun := time.Now()
				w.stop(first)
				time.Sleep(moment(time.Millisecond))
				w.stop(second)
				if took := time.Since(begun); took > transport.ByeWait+100*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestCameras(t *testing.T) {
	cameras := make([]capture.Device, transport.MaxCameras+6)
	for i := range cameras {
		cameras[i] = capture.Device{
			Path: fmt.Sprintf("/dev/video%d", i), Name: "evil\x1b]0;name\a", Modes: []capture.Mode{transporttest.MJPEG720.Source},
			Inputs:   []capture.Input{{Name: "HDMI\x1b", Problem: "no\nsignal", Standards: []string{"pal\a"}}},
			Controls: []capture.Control{{Name: "Power\nLine", Menu: []capture.ControlMenuItem{{Name: "50\tHz"}}}},
		}
	}
	for n, want := range map[int]int{0: 0, 1: 1, 3: 3, transport.MaxCameras: transport.MaxCameras, transport.MaxCameras + 6: transport.MaxCameras} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inWorld(t, func(w *world) {
				calls := 0
				w.catalogue.List = func() []capture.Device {
					calls++
					time.Sleep(1300 * time.Millisecond)
					return cameras[:n]
				}
				w.startBoth()
				for range 2 {
					got := w.listTwice()
					if len(got) != want {
						t.Fatalf("%d cameras of %d", len(got), want)
					}
				}
				if calls != 2 {
					t.Errorf("the sender listed %d times", calls)
				}
				if got := w.listTwice(); want > 0 && (got[0].Name != "evil\uFFFD]0;name\uFFFD" ||
					got[0].Controls[0].Name != "Power\uFFFDLine" ||
					got[0].Inputs[0].String() != "0 HDMI\uFFFD (no\uFFFDsignal): pal\uFFFD" || got[0].Controls[0].Menu[0].Name != "50\uFFFDHz") {
					t.Errorf("not printable: %+v", got[0])
				}
			})
		})
	}
}

// listTwice asks for the cameras by two callers at once, who get the same.
func (w *world) listTwice() []capture.Device {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answers := make(chan []capture.Device)
	for range 2 {
		go func() {
			list, err := w.receiver.Cameras(ctx)
			if err != nil {
				w.Error(err)
			}
			answers <- list
		}()
	}
	a, b := <-answers, <-answers
	if len(a) != len(b) {
		w.Errorf("one got %d cameras, the other %d", len(a), len(b))
	}
	return a
}

// A list that takes longer than a heartbeat is not begun again by each, and one
// that was cut off is.
func TestCamerasOnASlowLine(t *testing.T) {
	inWorld(t, func(w *world) {
		cameras := make([]capture.Device, 20)
		for i := range cameras {
			cameras[i].Modes = slices.Repeat([]capture.Mode{transporttest.MJPEG720.Source}, 100)
		}
		w.catalogue.List = func() []capture.Device { return cameras }
		w.cable.Rate, w.cable.Capacity = 50_000, 10_000
		w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
		go func() {
			time.Sleep(time.Second)
			w.cable.Cut()
		}()
		if got := w.listTwice(); len(got) != len(cameras) || len(got[19].Modes) != 100 {
			t.Errorf("%d cameras", len(got))
		}
	})
}

func TestCamerasNotAnswered(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := w.receiver.Cameras(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		w.sending = start(w.sender.Run) // the next caller is answered
		if list := w.listTwice(); len(list) != 0 {
			t.Errorf("got %v", list)
		}
	})
}

func TestStatus(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		for _, c := range []struct{ reported, want transport.Status }{
			{transport.Status{State: transport.Waiting, Text: "the camera is unplugged"}, transport.Status{State: transport.Waiting, Text: "the camera is unplugged"}},
			{transport.Status{State: transport.Waiting, Text: "a\x1b[31mb\r\nc\u202e"}, transport.Status{State: transport.Waiting, Text: "a\uFFFD[31mb\uFFFD\uFFFDc\uFFFD"}},
			{transport.Status{State: transport.Failed, Text: strings.Repeat("<", 5000)}, transport.Status{State: transport.Failed, Text: strings.Repeat("<", transport.MaxReason)}},
			{transport.Status{State: transport.Running}, transport.Status{State: transport.Running}},
		} {
			w.feed.Report(c.reported)
			w.feed.Report(c.reported)
			time.Sleep(2 * time.Second)
			if got := w.screen.Events().Statuses; len(got) == 0 || got[len(got)-1] != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		}
		if got := w.screen.Events().Statuses; len(got) != 4 {
			t.Errorf("%d statuses: %+v", len(got), got)
		}
		w.cable.Cut() // the next session repeats it
		time.Sleep(time.Second)
		if got := w.screen.Events().Statuses; len(got) != 5 || got[4].State != transport.Running {
			t.Errorf("%d statuses: %+v", len(got), got)
		}
	})
}

// Across a lopsided cable the stages of every frame are known within what the
// clock has, and the distances of frames exactly.
func TestFrameTimes(t *testing.T) {
	inWorld(t, func(w *world) {
		r := rand.New(rand.NewPCG(1, 0))
		w.cable.Delay = func(from *transporttest.End) time.Duration {
			if from == w.cable.Sender {
				return 3*time.Millisecond + time.Duration(r.Int64N(1e6))
			}
			return 100 * time.Microsecond
		}
		var last capture.Frame
		var lastTrue time.Time
		w.screen.Seen = func(f *capture.Frame) {
			truth, _ := w.feed.CapturedAt(f.Sequence)
			_, uncertainty, _ := w.receiver.Clock().Estimate()
			for stage, want := range map[capture.Stage]time.Time{capture.Captured: truth, capture.Dequeued: truth} {
				if off := f.At[stage].Sub(want).Abs(); off > uncertainty {
					t.Errorf("frame %d: %v is off by %v, more than %v", f.Sequence, stage, off, uncertainty)
				}
			}
			if !f.At[capture.Encoded].IsZero() || f.At[capture.Sent].Sub(truth).Abs() > 5*time.Millisecond || !f.At[capture.Received].Equal(time.Now()) {
				t.Errorf("frame %d: %v", f.Sequence, f.At)
			}
			if !lastTrue.IsZero() && f.Time.Sub(last.Time) != truth.Sub(lastTrue) {
				t.Errorf("frame %d comes %v after the last, should be %v", f.Sequence, f.Time.Sub(last.Time), truth.Sub(lastTrue))
			}
			last.Time, lastTrue = f.Time, truth
		}
		time.Sleep(77 * time.Millisecond)
		w.startBoth()
		w.waitForFrames(300, 11*time.Second)
	})
}
