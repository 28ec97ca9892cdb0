package transport

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/transport/wire"
)

// The estimate is never off by more than it states, whatever the way there and
// back takes, and however the crystals drift within their tolerance.
func TestClockWithinUncertainty(t *testing.T) {
	for name, c := range map[string]struct {
		there, back, jitter time.Duration
		ppm                 float64       // by which the sender's clock is fast
		best                time.Duration // uncertainty that must be reached
	}{
		"cable":        {10 * time.Microsecond, 10 * time.Microsecond, 5 * time.Microsecond, 0, 20 * time.Microsecond},
		"drift":        {10 * time.Microsecond, 10 * time.Microsecond, 5 * time.Microsecond, 100, 20 * time.Microsecond},
		"backwards":    {10 * time.Microsecond, 10 * time.Microsecond, 5 * time.Microsecond, -100, 20 * time.Microsecond},
		"lopsided":     {5 * time.Millisecond, 20 * time.Microsecond, time.Millisecond, 50, 4 * time.Millisecond},
		"mostly late":  {10 * time.Microsecond, 10 * time.Microsecond, 50 * time.Millisecond, 100, 25 * time.Millisecond},
		"set right":    {10 * time.Microsecond, 40 * time.Microsecond, 5 * time.Microsecond, 500, 600 * time.Microsecond},
		"set back":     {100 * time.Microsecond, 10 * time.Microsecond, 50 * time.Microsecond, -3000, 3600 * time.Microsecond},
		"long on hold": {time.Microsecond, time.Microsecond, 0, 100, time.Millisecond},
	} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					line := newTimeline()
					clock := &Clock{line: line}
					r := rand.New(rand.NewPCG(seed, 0))
					jitter := func() time.Duration { return time.Duration(r.Int64N(int64(c.jitter) + 1)) }
					// The sender's clock began at another time, and runs at another pace.
					sender := func() int64 {
						return 12345e9 + line.nanosOf(time.Now()) + int64(time.Since(line.origin).Seconds()*c.ppm*1e3)
					}
					for n := range 100 {
						x := wire.Clock{Ping: line.nanosOf(time.Now())}
						time.Sleep(c.there + jitter())
						x.Received = sender()
						time.Sleep(jitter())
						x.Pong = sender()
						time.Sleep(c.back + jitter())
						clock.addSample(x, line.nanosOf(time.Now()))
						time.Sleep(time.Duration(r.Int64N(int64(pingEvery))))
						offset, uncertainty, ok := clock.Estimate()
						if !ok {
							continue
						}
						truth := time.Duration(sender() - line.nanosOf(time.Now()))
						// That a clock runs wild shows with the third exchange.
						if n < 3 && math.Abs(c.ppm) > 100 {
							continue
						}
						if (offset - truth).Abs() > uncertainty+time.Nanosecond {
							t.Fatalf("after %d: off by %v, which is more than %v", n, offset-truth, uncertainty)
						}
					}
					if _, uncertainty, ok := clock.Estimate(); !ok || uncertainty > c.best+drift {
						t.Errorf("uncertain by %v", uncertainty)
					}
				})
			})
		}
	}
}

func TestClockUnknown(t *testing.T) {
	clock := &Clock{line: newTimeline()}
	if _, _, ok := clock.Estimate(); ok || !clock.localTime(1).IsZero() {
		t.Error("it estimates from nothing")
	}
	clock.addSample(wire.Clock{Ping: 10, Received: 30, Pong: 40}, 15)
	if _, _, ok := clock.Estimate(); ok {
		t.Error("it believes a sender that had the Ping longer than it took")
	}
	clock.addSample(wire.Clock{Ping: 10, Received: 30, Pong: 40}, 40)
	if offset, _, ok := clock.Estimate(); offset != 10 || !ok {
		t.Errorf("offset %v", offset)
	}
	if !clock.localTime(0).IsZero() || !clock.localTime(50).Equal(clock.line.timeOf(40)) {
		t.Error("local is wrong")
	}
}

func TestTimeline(t *testing.T) {
	line := newTimeline()
	now := time.Now()
	if n := line.nanosOf(now); n < int64(time.Hour) || !line.timeOf(n).Equal(now) {
		t.Errorf("%v became %d", now, n)
	}
	if line.nanosOf(time.Time{}) != 0 || line.nanosOf(now.Add(-2*time.Hour)) != 0 {
		t.Error("what is not known, or too old, should be 0")
	}
}
