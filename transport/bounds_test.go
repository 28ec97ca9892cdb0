package transport_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// A frame of a time that cannot be ends the session, and is not handed over.
func TestHostileCaptureTime(t *testing.T) {
	const clock = 400 * 24 * time.Hour
	for why, captured := range map[string]time.Duration{
		"after it arrived":  clock + 10*time.Second,
		"before it arrived": clock - 10*time.Minute,
	} {
		inWorld(t, func(w *world) {
			w.stream.Start(capture.Want{})
			w.viewing = start(w.receiver.Run)
			i := w.asSenderAt(clock)
			i.mode(grey)
			i.first(wire.Last, wire.FrameHeader{Mode: 1, Size: 100, Captured: int64(captured)}, 100)
			w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
			if got := w.screen.Events(); len(got.Numbers) != 0 || !strings.Contains(got.Ends[0].Error(), why) {
				t.Errorf("%d frames came; it ended with %v, want %q", len(got.Numbers), got.Ends[0], why)
			}
		})
	}
}

// What a peer announces again and again ends its session, and the next one does not
// begin with a new burst.
func TestAnnouncementFlood(t *testing.T) {
	for name, c := range map[string]struct {
		announce func(i *impostor, number uint32)
		seen     func(n transporttest.Events) int
		most     func(in time.Duration) int // that are allowed
		why      string
	}{
		"modes": {
			func(i *impostor, number uint32) {
				i.write(wire.Mode, transport.Encode(transport.Mode{Number: number, Format: grey}))
			},
			func(n transporttest.Events) int { return len(n.Modes) }, func(d time.Duration) int { return 32 + 4 + int(d/time.Second) }, "it changes its mode too often",
		},
		"statuses": {
			func(i *impostor, number uint32) {
				i.write(wire.Status, transport.Encode(transport.Status{State: transport.Running, Text: fmt.Sprint(number)}))
			},
			func(n transporttest.Events) int { return len(n.Statuses) }, func(d time.Duration) int { return 64 + 4 + int(4*d/time.Second) }, "it changes its status too often",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.stream.Start(capture.Want{})
				w.viewing = start(w.receiver.Run)
				begun := time.Now()
				for sessions := 1; sessions < 10; sessions++ {
					i := w.asSender()
					for number := range uint32(500) {
						c.announce(i, number+1)
					}
					w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == sessions })
				}
				got := w.screen.Events()
				if !strings.Contains(got.Ends[8].Error(), c.why) {
					t.Errorf("it ended with %v, want %q", got.Ends[8], c.why)
				}
				if n, most := c.seen(got), c.most(time.Since(begun)); n > most {
					t.Errorf("%d came in %v, allowed are %d", n, time.Since(begun), most)
				}
			})
		})
	}
}

// A sender whose camera changes its mode with every frame does not violate the
// protocol: it drops what the viewer would not bear, and counts that.
func TestModeOfEachFrame(t *testing.T) {
	inWorld(t, func(w *world) {
		w.feed.Renew = true
		w.startBoth()
		time.Sleep(time.Minute)
		got := w.screen.Events()
		if len(got.Ends) != 0 {
			t.Errorf("sessions ended with %v", got.Ends)
		}
		if n := len(got.Numbers); n < 40 || n > 60 || got.Totals.Superseded < 1000 {
			t.Errorf("%d frames came, lost are %+v", n, got.Totals)
		}
	})
}

// Of requests that come faster than the feed takes them, it gets the newest.
func TestRequestFlood(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sender.Catalogue = &transport.Single{Producer: &slowStarter{w.feed}}
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		const requests = 10_000
		for number := range uint32(requests) {
			r := transport.Request{Number: number + 1, Want: capture.Want{FPS: float64(number)}}
			i.write([]wire.Type{wire.Start, wire.Stop}[number%2], transport.Encode(r))
		}
		i.write(wire.Start, transport.Encode(transport.Request{Number: requests + 1, Want: capture.Want{FPS: 5}}))
		for range 3 {
			i.write(wire.Ping, wire.AppendPing(nil, 1))
			time.Sleep(time.Second)
		}
		starts, stops := w.feed.Requests()
		// How many come through depends on the scheduler: a Stop takes no time.
		if n := len(starts); n == 0 || n > 5 || n+stops > requests/100 || starts[n-1].FPS != 5 {
			t.Errorf("starts %v, %d stops", starts, stops)
		}
		i.write(wire.Bye, nil)
		i.read(wire.ByeAck)
	})
}

// slowStarter takes a second for a Start.
type slowStarter struct{ *transporttest.Producer }

func (s *slowStarter) Start(number uint32, want capture.Want) {
	time.Sleep(time.Second)
	s.Producer.Start(number, want)
}
