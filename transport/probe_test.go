package transport_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// probe makes an exchange, and fails the test when there is none.
func (w *world) probe(up, down int) transport.Exchange {
	w.Helper()
	x, err := w.receiver.Probe(w.Context(), up, down)
	if err != nil {
		w.Fatalf("%v; log:\n%v", err, w.log)
	}
	return x
}

// waitForSession runs both programs until they have met.
func (w *world) waitForSession() {
	w.Helper()
	w.startBoth()
	w.waitForFrames(1, time.Second)
}

// The exchanges measure what the cable is: its delay, and its rate in either direction,
// while frames flow.
func TestProbe(t *testing.T) {
	const rate, size = 100 << 20, 4 << 20
	for _, device := range []bool{false, true} {
		inWorld(t, func(w *world) {
			w.cable.Device = device
			w.cable.Delay = func(*transporttest.End) time.Duration { return 3 * time.Millisecond }
			w.waitForSession()
			if trip := w.probe(0, 0).RoundTrip; trip < 6*time.Millisecond || trip > 7*time.Millisecond {
				t.Errorf("a round trip of %v over a cable of 3 ms", trip)
			}
			w.cable.Change(func() { w.cable.Rate = rate })
			for _, c := range [][2]int{{size, 0}, {0, size}} {
				x := w.probe(c[0], c[1])
				if got := float64(size) / x.Took.Seconds(); got < 0.7*rate || got > 1.01*rate {
					t.Errorf("%d bytes: %.0f bytes/s over a cable of %d", c, got, rate)
				}
				if x.Padding < c[1] {
					t.Errorf("%d of %d bytes came", x.Padding, c[1])
				}
			}
		})
	}
}

// Padding that is lost on the way is missed, and the exchange ends though its own Ping was
// lost: by the next heartbeat.
func TestProbeOverALossyCable(t *testing.T) {
	inWorld(t, func(w *world) {
		w.waitForSession()
		w.cable.Change(func() {
			w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
				if from == w.cable.Sender && len(packet) > 1000 && packet[0] == 0 {
					return nil
				}
				return packet
			}
		})
		if x := w.probe(0, 1<<20); x.Padding > 1000 {
			t.Errorf("%d bytes came", x.Padding)
		}
		lost := false
		w.cable.Change(func() {
			w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
				if h, _, err := wire.Parse(packet); from == w.cable.Viewer && !lost && err == nil && h.Type == wire.Ping {
					lost = true
					return nil
				}
				return packet
			}
		})
		if x := w.probe(0, 1<<20); x.Took > 2*transport.PingEvery || x.Padding > 1000 || !lost {
			t.Errorf("it took %v, %d bytes came, lost: %t", x.Took, x.Padding, lost)
		}
	})
}

// Who cannot be measured is reported, and a session that ends ends the exchange.
func TestProbeEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		if _, err := w.receiver.Probe(w.Context(), 0, 0); !errors.Is(err, transport.ErrNoSession) {
			t.Errorf("without a session: %v", err)
		}
		w.viewing = start(w.receiver.Run)
		w.stream.Start(capture.Want{})
		i := w.asSenderAt(1, transport.FeatureProbe)
		result := make(chan error, 1)
		go func() {
			_, err := w.receiver.Probe(context.Background(), 1000, 1000)
			result <- err
		}()
		i.read(wire.Ping)
		if _, err := w.receiver.Probe(w.Context(), 0, 0); !errors.Is(err, transport.ErrProbing) {
			t.Errorf("a second one: %v", err)
		}
		i.conn.Close()
		if err := <-result; !errors.Is(err, transport.ErrNoSession) {
			t.Errorf("after the end: %v", err)
		}
	})
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		w.stream.Start(capture.Want{})
		w.asSender()
		if _, err := w.receiver.Probe(w.Context(), 0, 0); !errors.Is(err, transport.ErrNoProbe) {
			t.Errorf("an older sender: %v", err)
		}
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := w.receiver.Probe(ctx, 0, 0); err == nil {
			t.Error("a context that has ended is ignored")
		}
	})
}

// A viewer that asks again and again gets the padding of the newest question only, and as
// much as one question may ask for; a stranger gets none.
func TestProbeFlood(t *testing.T) {
	const questions = 1000
	inWorld(t, func(w *world) {
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		for n := range questions {
			i.write(wire.Ping, wire.AppendProbe(nil, int64(n+1), transport.MaxProbe))
		}
		answers := uint64(1)
		for ; ; answers++ {
			clock, _, err := wire.ParsePong(i.read(wire.Pong), nil)
			if err != nil {
				t.Fatal(err)
			}
			if clock.Ping == questions {
				break
			}
		}
		if got := i.reader.Padding(); answers > questions/2 || got > answers*transport.MaxProbe {
			t.Errorf("%d bytes before %d answers to %d questions", got, answers, questions)
		}
	})
	inWorld(t, func(w *world) {
		w.cable.Device = true
		transporttest.NewTrust(t).Guard(w.sender, w.receiver)
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		for n := range questions {
			i.write(wire.Ping, wire.AppendProbe(nil, int64(n+1), transport.MaxProbe))
		}
		time.Sleep(transport.Liveness / 2)
		i.write(wire.Bye, []byte("enough"))
		for {
			h, _, err := i.reader.Next()
			if err != nil || h.Type == wire.Bye || h.Type == wire.ByeAck {
				break
			}
		}
		if got := i.reader.Padding(); got > 1000 {
			t.Errorf("a stranger got %d bytes of padding", got)
		}
		w.mayFail = true
		if strings.Contains(w.log.String(), "viewer connected") {
			t.Errorf("the stranger was served:\n%v", w.log)
		}
	})
}
