package transporttest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// serve runs a sender and a viewer at the ends of a cable while during runs, and checks
// that all frames are released.
func serve(t *testing.T, c *transporttest.Cable, p *transporttest.Producer, during func(*transporttest.Consumer)) {
	t.Helper()
	consumer := &transporttest.Consumer{T: t, Producer: p}
	pool := &capture.Pool{}
	sender := &transport.Sender{Link: c.Sender, Catalogue: &transporttest.Catalogue{Producers: []*transporttest.Producer{p}}}
	receiver := &transport.Receiver{Link: c.Viewer, Pool: pool}
	stream, err := receiver.Open(consumer, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{sender.Run, receiver.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	during(consumer)
	cancel()
	running.Wait()
	if n := p.Pool.Outstanding() + pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// Each kind of link carries every frame of a camera.
func TestCable(t *testing.T) {
	for _, device := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := transporttest.NewCable()
			c.Device = device
			var records sync.Map // types that were written
			c.Written = func(_ *transporttest.End, h wire.Header) { records.Store(h.Type, true) }
			p := &transporttest.Producer{Period: time.Second / 30}
			serve(t, c, p, func(consumer *transporttest.Consumer) {
				time.Sleep(10 * time.Second)
				e := consumer.Events()
				if n := len(e.Numbers); n < 250 || len(e.Peers) != 1 || len(e.Modes) != 1 || len(e.Ends) != 0 {
					t.Errorf("device %v: %d frames, %+v", device, n, e.Peers)
				}
			})
			for _, typ := range []wire.Type{wire.Hello, wire.Welcome, wire.Start, wire.Frame, wire.Bye} {
				if _, ok := records.Load(typ); !ok {
					t.Errorf("device %v: no %v was written", device, typ)
				}
			}
		})
	}
}

// After a cut the session comes back, and damage costs frames but changes none.
func TestCableWithFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := transporttest.NewCable()
		p := &transporttest.Producer{Period: time.Second / 30}
		serve(t, c, p, func(consumer *transporttest.Consumer) {
			time.Sleep(time.Second)
			c.Cut()
			time.Sleep(2 * time.Second)
			if e := consumer.Events(); len(e.Ends) != 1 || len(e.Peers) != 2 || !slices.IsSorted(e.Numbers) {
				t.Errorf("after a cut: %d ends, %d peers", len(e.Ends), len(e.Peers))
			}
		})
	})
	synctest.Test(t, func(t *testing.T) {
		c := transporttest.NewCable()
		c.Device, c.Sender.Pause, c.Viewer.Pause = true, 1800*time.Millisecond, 1200*time.Millisecond
		packets := 0
		c.Damage = func(from *transporttest.End, packet []byte) []byte {
			if packets++; from == c.Sender && packets%97 == 0 {
				packet[len(packet)/2] ^= 1
			}
			return packet
		}
		serve(t, c, &transporttest.Producer{Period: time.Second / 30}, func(consumer *transporttest.Consumer) {
			time.Sleep(20 * time.Second)
			if n := consumer.Frames(); n < 100 || n > 590 {
				t.Errorf("%d frames came through the damage", n)
			}
		})
	})
}

// Without a period every frame is sent, until the last one.
func TestProducerOfAll(t *testing.T) {
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) {
		p := &transporttest.Producer{Count: 3, Err: broken}
		for range 3 {
			unit, err := p.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if at, ok := p.CapturedAt(unit.Frame.Sequence); !ok || !at.Equal(unit.Frame.Time) {
				t.Errorf("frame %d was captured at %v, %v", unit.Frame.Sequence, at, ok)
			}
			unit.Frame.Release()
		}
		if _, err := p.Next(t.Context()); !errors.Is(err, broken) {
			t.Errorf("after the last one: %v", err)
		}
	})
}
