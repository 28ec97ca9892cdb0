package tbsim

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

const framePeriod = 33 * time.Millisecond

// noise is what the pictures of a movie are cut from.
var noise = func() []byte {
	b := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// movie is a feed whose pictures can be told apart.
type movie struct {
	pool   capture.Pool
	mode   transport.Mode
	period time.Duration
	size   int // bytes of a picture

	mu sync.Mutex
	on bool
	n  uint32
	at []time.Time // when each was captured, from 1
}

func newMovie() *movie {
	m := &movie{at: make([]time.Time, 1)}
	m.pace(framePeriod, 20_000)
	return m
}

// pace sets how often there is a picture, and about how large it is.
func (m *movie) pace(period time.Duration, size int) {
	m.period, m.size = period, size/100*100
	m.mode = transport.Mode{Camera: "movie", Format: capture.Format{Pixel: capture.GREY, Width: 100, Height: size / 100}}
}

// content returns the picture with a number.
func (m *movie) content(n uint32) []byte {
	at := int(n) * 4099 % (len(noise) - m.size)
	return noise[at : at+m.size]
}

func (m *movie) Start(uint32, capture.Want) { m.set(true) }
func (m *movie) Stop()                      { m.set(false) }
func (m *movie) Lost() capture.Lost         { return capture.Lost{} }
func (m *movie) Cameras() []capture.Device  { return nil }

func (m *movie) set(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = on
}

// next counts a picture, if the camera is on.
func (m *movie) next() (uint32, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on {
		m.n++
		m.at = append(m.at, time.Now())
	}
	return m.n, m.on
}

// captured returns when a picture was, and whether it was at all.
func (m *movie) captured(n uint32) (at time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n == 0 || n > m.n {
		return at, false
	}
	return m.at[n], true
}

func (m *movie) Next(ctx context.Context) (transport.Unit, error) {
	for {
		select {
		case <-time.After(m.period):
		case <-ctx.Done():
			return transport.Unit{}, ctx.Err()
		}
		n, on := m.next()
		if !on {
			continue
		}
		f := m.pool.Get(m.size)
		copy(f.Data, m.content(n))
		f.Format, f.Sequence, f.Time = m.mode.Format, n, time.Now()
		f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
		return transport.Unit{Frame: f, Info: &m.mode}, nil
	}
}

// audience is a viewer that checks every picture.
type audience struct {
	t    *testing.T
	film *movie

	mu       sync.Mutex
	frames   int
	last     time.Time // when a picture came
	sequence uint32
	gap      time.Duration // the longest between two

	since  time.Time // pictures from then on count
	begun  time.Time // since when they have come without an outage
	latest time.Time // when the last of them came
}

// watch has pictures count that are captured from now on.
func (a *audience) watch(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.begun, a.latest = now, time.Time{}, time.Time{}
}

// begin returns since when such pictures have come without an outage.
func (a *audience) begin() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.begun
}

// steady reports whether such pictures come.
func (a *audience) steady() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.latest.IsZero() && time.Since(a.latest) <= outage
}

// count notes a picture that was captured at a time.
func (a *audience) count(captured time.Time) {
	if captured.Before(a.since) {
		return
	}
	if time.Since(a.latest) > outage {
		a.begun = time.Now()
	}
	a.latest = time.Now()
}

func (a *audience) Connected(transport.Peer) {}
func (a *audience) Mode(transport.Mode)      {}
func (a *audience) Lost(capture.Lost)        {}
func (a *audience) Status(transport.Status)  {}
func (a *audience) Disconnected(error)       {}

func (a *audience) Frame(f *capture.Frame, _ capture.Lost) {
	defer f.Release()
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Sequence <= a.sequence {
		a.t.Errorf("picture %d came after %d", f.Sequence, a.sequence)
	}
	if captured, sent := a.film.captured(f.Sequence); !sent || !bytes.Equal(f.Data, a.film.content(f.Sequence)) {
		a.t.Errorf("picture %d was not sent like this", f.Sequence)
	} else {
		a.count(captured)
	}
	if !a.last.IsZero() {
		a.gap = max(a.gap, time.Since(a.last))
	}
	a.frames, a.last, a.sequence = a.frames+1, time.Now(), f.Sequence
}

func (a *audience) seen() (frames int, last time.Time, gap time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.frames, a.last, a.gap
}

// show runs both programs' sessions over a cable; the viewer starts late by a
// time. during is called meanwhile.
func show(t *testing.T, c *Cable, late time.Duration, during func(*audience)) {
	film := newMovie()
	a := &audience{t: t, film: film}
	l := links(c)
	var pool capture.Pool
	sender := &transport.Sender{Link: l[0], Producer: film, Log: slog.New(slog.DiscardHandler)}
	receiver := &transport.Receiver{Link: l[1], Consumer: a, Pool: &pool, Log: slog.New(slog.DiscardHandler)}
	receiver.Start(capture.Want{})
	ctx, cancel := context.WithCancel(t.Context())
	var programs sync.WaitGroup
	programs.Go(func() {
		if err := sender.Run(ctx); err != nil {
			t.Errorf("the sender ended: %v", err)
		}
	})
	time.Sleep(late)
	programs.Go(func() {
		if err := receiver.Run(ctx); err != nil {
			t.Errorf("the viewer ended: %v", err)
		}
	})
	during(a)
	cancel()
	programs.Wait()
	for _, link := range l {
		link.Close()
	}
	if n := film.pool.Outstanding() + pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// TestNobodyIsLeftBehind: whenever the viewer starts, and however many packets
// its opening loses count of, each picture comes when it was sent.
func TestNobodyIsLeftBehind(t *testing.T) {
	for _, k := range Kernels {
		for seed := range uint64(30) {
			synctest.Test(t, func(t *testing.T) {
				c := New(Options{Kernel: k, Rate: 1e9, Latency: 10 * time.Microsecond, Seed: seed})
				show(t, c, time.Duration(seed)*197*time.Millisecond, func(a *audience) {
					time.Sleep(10 * time.Second)
					frames, last, gap := a.seen()
					if frames < 30 || gap > 2*framePeriod || time.Since(last) > 2*framePeriod {
						t.Errorf("Linux %v, seed %d: %d frames, the longest gap %v, behind by %d and %d packets",
							k, seed, frames, gap, c.End(0).Behind(), c.End(1).Behind())
					}
				})
			})
		}
	}
}

// recovery is how long a healthy cable may be without a picture after a minute of
// faults one upon the other: a second round may be needed where a viewer opened
// while the sender was greeting. TestBackAfterFaults is strict.
const recovery = 15 * time.Second

// TestSessionsSurviveFaults: after a minute of faults the picture comes back by
// itself, and no wrong or older one was shown.
func TestSessionsSurviveFaults(t *testing.T) {
	for _, k := range Kernels {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				schedule := Random(seed, time.Minute)
				c := New(Options{Kernel: k, Rate: 1e9, Latency: 10 * time.Microsecond, Seed: seed})
				c.Run(schedule)
				show(t, c, 0, func(a *audience) {
					time.Sleep(time.Minute + recovery)
					before, last, _ := a.seen()
					time.Sleep(5 * time.Second)
					if after, _, _ := a.seen(); after == before || time.Since(last) > recovery {
						t.Errorf("Linux %v, seed %d: no picture after\n%v", k, seed, schedule)
					}
				})
			})
		}
	}
}
