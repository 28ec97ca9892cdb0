package transport

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// A capture time counts if it can be, by what is known of the sender's clock.
func TestCaptureTimes(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		session time.Duration // for how long it has lasted
		ahead   time.Duration // of the capture time to the arrival
		why     string
	}{
		"just now":                  {0, 0, ""},
		"a little ahead":            {0, 990 * time.Millisecond, ""},
		"ahead":                     {0, 1010 * time.Millisecond, "it was captured 1.01s after it arrived"},
		"ten years ahead":           {0, 3650 * day, "after it arrived"},
		"old":                       {0, -59 * time.Second, ""},
		"too old":                   {0, -61 * time.Second, "it was captured 1m1s before it arrived"},
		"a year old":                {0, -365 * day, "before it arrived"},
		"clocks drift":              {day, 44 * time.Second, ""},
		"clocks drift too far":      {day, 45 * time.Second, "it was captured 45s after it arrived"},
		"clocks drift back":         {day, -103 * time.Second, ""},
		"clocks drift back too far": {day, -104 * time.Second, "it was captured 1m44s before it arrived"},
	} {
		const offset = 400 * day // of the sender's clock
		line, arrived := newTimeline(), time.Now()
		times := newSessionTimes(line, offset, 0)
		times.begun = arrived.Add(-c.session)
		want := arrived.Add(c.ahead)
		got, err := times.captured(int64(want.Sub(line.origin)+offset), arrived)
		if !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %v, want %q", name, err, c.why)
		}
	}
}

// A frame of a time that cannot be ends the session, and is not handed over.
func TestHostileCaptureTime(t *testing.T) {
	const clock = 400 * 24 * time.Hour
	for why, captured := range map[string]time.Duration{
		"after it arrived":  clock + 10*time.Second,
		"before it arrived": clock - 10*time.Minute,
	} {
		inWorld(t, func(w *world) {
			w.receiver.Start(capture.Want{})
			w.viewing = start(w.receiver.Run)
			i := w.asSenderAt(clock)
			i.mode(grey)
			i.first(wire.Last, wire.FrameHeader{Mode: 1, Size: 100, Captured: int64(captured)}, 100)
			w.waitFor(time.Second, "end", func() bool { return len(w.screen.noted().ends) == 1 })
			if got := w.screen.noted(); len(got.numbers) != 0 || !strings.Contains(got.ends[0].Error(), why) {
				t.Errorf("%d frames came; it ended with %v, want %q", len(got.numbers), got.ends[0], why)
			}
		})
	}
}

// A sender that does not know when a frame was captured tells of no time.
func TestCaptureTimeUnknown(t *testing.T) {
	now := time.Now()
	times := newSessionTimes(newTimeline(), time.Hour, 0)
	if got, err := times.captured(0, now); !got.Equal(now) || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, now)
	}
}

// A peer that delays its first answer may not choose its times the more freely.
func TestSlowFirstAnswer(t *testing.T) {
	line, now := newTimeline(), time.Now()
	times := newSessionTimes(line, 0, time.Hour)
	if _, err := times.captured(line.nanos(now.Add(maxAhead+maxUncertainty+time.Second)), now); err == nil {
		t.Error("a time far ahead was believed")
	}
}

func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit{burst: 3, interval: time.Second, request: 2}
		var a allowance
		take := func(what string, want int) {
			t.Helper()
			n := 0
			for a.take(l) {
				n++
			}
			if n != want {
				t.Errorf("%s: %d times, want %d", what, n, want)
			}
		}
		take("at first", 3)
		time.Sleep(999 * time.Millisecond)
		take("too early", 0)
		time.Sleep(time.Millisecond)
		take("a second later", 1)
		time.Sleep(time.Hour)
		take("after an hour", 3)
		a.request(l)
		take("after a request", 2)
		for range 10 {
			a.request(l)
		}
		take("after many requests", 3)
	})
}

// What a peer announces again and again ends its session, and the next one does not
// begin with a new burst.
func TestAnnouncementFlood(t *testing.T) {
	for name, c := range map[string]struct {
		announce func(i *impostor, number uint32)
		seen     func(n notes) int
		limit    limit
		why      string
	}{
		"modes": {
			func(i *impostor, number uint32) { i.write(wire.Mode, encode(Mode{Number: number, Format: grey})) },
			func(n notes) int { return len(n.modes) }, modeLimit, "it changes its mode too often",
		},
		"statuses": {
			func(i *impostor, number uint32) {
				i.write(wire.Status, encode(Status{State: Running, Text: fmt.Sprint(number)}))
			},
			func(n notes) int { return len(n.statuses) }, statusLimit, "it changes its status too often",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.receiver.Start(capture.Want{})
				w.viewing = start(w.receiver.Run)
				begun := time.Now()
				for sessions := 1; sessions < 10; sessions++ {
					i := w.asSender()
					for number := range uint32(500) {
						c.announce(i, number+1)
					}
					w.waitFor(time.Second, "end", func() bool { return len(w.screen.noted().ends) == sessions })
				}
				got := w.screen.noted()
				if !strings.Contains(got.ends[8].Error(), c.why) {
					t.Errorf("it ended with %v, want %q", got.ends[8], c.why)
				}
				if n, most := c.seen(got), c.limit.burst+c.limit.request+int(time.Since(begun)/c.limit.interval); n > most {
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
		w.feed.renew = true
		w.startBoth()
		time.Sleep(time.Minute)
		got := w.screen.noted()
		if len(got.ends) != 0 {
			t.Errorf("sessions ended with %v", got.ends)
		}
		if n := len(got.numbers); n < 40 || n > 60 || got.lost.Superseded < 1000 {
			t.Errorf("%d frames came, lost are %+v", n, got.lost)
		}
	})
}

// Of requests that come faster than the feed takes them, it gets the newest.
func TestRequestFlood(t *testing.T) {
	inWorld(t, func(w *world) {
		slow := &slowStarter{feed: w.feed}
		w.sender.Producer = slow
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		const requests = 10_000
		for number := range uint32(requests) {
			r := request{Number: number + 1, Want: capture.Want{FPS: float64(number)}}
			i.write([]wire.Type{wire.Start, wire.Stop}[number%2], encode(r))
		}
		i.write(wire.Start, encode(request{Number: requests + 1, Want: capture.Want{FPS: 5}}))
		for range 3 {
			i.write(wire.Ping, wire.AppendPing(nil, 1))
			time.Sleep(time.Second)
		}
		starts, stops := w.feed.asked()
		// How many come through depends on the scheduler: a Stop takes no time.
		if n := len(starts); n == 0 || n > 5 || n+stops > requests/100 || starts[n-1].FPS != 5 {
			t.Errorf("starts %v, %d stops", starts, stops)
		}
		i.write(wire.Bye, nil)
		i.read(wire.ByeAck)
	})
}

// slowStarter takes a second for a Start.
type slowStarter struct{ *feed }

func (s *slowStarter) Start(number uint32, want capture.Want) {
	time.Sleep(time.Second)
	s.feed.Start(number, want)
}
