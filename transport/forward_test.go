package transport_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
)

// TestSkew: a sender that forwards the times of another clock, 3 s ahead of its host's,
// is a sender on that clock: all times arrive as they were on it.
func TestSkew(t *testing.T) {
	const skew = 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		cable := transporttest.NewCable()
		producer := &transporttest.Producer{Period: time.Second / 30}
		sender := &transport.Sender{
			Link: cable.Sender, Catalogue: &transport.Single{Producer: producer}, Host: "laptop", Skew: func() time.Duration { return skew },
		}
		receiver := &transport.Receiver{Link: cable.Viewer}
		viewer := &transporttest.Consumer{T: t, Producer: producer, Seen: func(f *capture.Frame) {
			if age := time.Since(f.At[capture.Captured]) - skew; age < 0 || age > 10*time.Millisecond {
				t.Errorf("frame %d was captured %v ago on that clock", f.Sequence, age)
			}
			for _, stage := range []capture.Stage{capture.Dequeued, capture.Sent} {
				if age := time.Since(f.At[stage]); age < -time.Millisecond || age > 10*time.Millisecond {
					t.Errorf("frame %d was %v %v ago", f.Sequence, stage, age)
				}
			}
		}}
		stream, err := receiver.Open(viewer, transport.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		stream.Start(capture.Want{})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = sender.Run(ctx) })
		running.Go(func() { _ = receiver.Run(ctx) })
		time.Sleep(3 * time.Second)
		if offset, _, ok := receiver.Clock().Estimate(); !ok || (offset-skew).Abs() > 10*time.Millisecond {
			t.Errorf("the clock is ahead by %v", offset)
		}
		if drift := receiver.Drift(); drift.Abs() > time.Millisecond {
			t.Errorf("it has drifted by %v", drift)
		}
		cancel()
		running.Wait()
		producer.Discard()
		if e := viewer.Events(); len(e.Numbers) < 60 || e.Peers[0].Host != "laptop" {
			t.Errorf("%d frames came of %v", len(e.Numbers), e.Peers)
		}
	})
}

// TestDrift: where the clock behind a forwarder drifts, its viewers follow: a
// frame's capture is as old for them as it was.
func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		skew := func() time.Duration { return time.Since(begin) / 10_000 } // 100 ppm
		cable := transporttest.NewCable()
		producer := &transporttest.Producer{Period: time.Second / 10}
		sender := &transport.Sender{Link: cable.Sender, Catalogue: &transport.Single{Producer: producer}, Skew: skew}
		receiver := &transport.Receiver{Link: cable.Viewer}
		stream, err := receiver.Open(&transporttest.Consumer{T: t, Producer: producer}, transport.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		stream.Start(capture.Want{})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = sender.Run(ctx) })
		running.Go(func() { _ = receiver.Run(ctx) })
		time.Sleep(time.Minute)
		if drift, want := receiver.Drift(), skew(); (drift - want).Abs() > time.Millisecond {
			t.Errorf("the clock has drifted by %v, want %v", drift, want)
		}
		cancel()
		running.Wait()
		producer.Discard()
	})
}
