package tbsim

import (
	"context"
	"flag"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

var schedules = flag.Int("schedules", 20, "seeded fault schedules for each kernel in TestSessionsSurviveFaults")

const (
	framePeriod = 33 * time.Millisecond
	frameSize   = 20_000
)

// movie is a feed whose pictures hold their number in every byte of them.
type movie struct {
	pool capture.Pool
	mode transport.Mode

	mu sync.Mutex
	on bool
	n  uint32
}

func newMovie() *movie {
	return &movie{mode: transport.Mode{
		Camera: "movie",
		Format: capture.Format{Pixel: capture.GREY, Width: 200, Height: frameSize / 200},
	}}
}

func (m *movie) Start(capture.Want)        { m.set(true) }
func (m *movie) Stop()                     { m.set(false) }
func (m *movie) Cameras() []capture.Camera { return nil }

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
	}
	return m.n, m.on
}

func (m *movie) Next(ctx context.Context) (transport.Picture, error) {
	for {
		select {
		case <-time.After(framePeriod):
		case <-ctx.Done():
			return transport.Picture{}, ctx.Err()
		}
		n, on := m.next()
		if !on {
			continue
		}
		f := m.pool.Get(frameSize)
		for i := range f.Data {
			f.Data[i] = byte(n)
		}
		f.Format, f.Sequence, f.Time = m.mode.Format, n, time.Now()
		f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
		return transport.Picture{Frame: f, Info: &m.mode}, nil
	}
}

// audience is a viewer that checks every picture.
type audience struct {
	t *testing.T

	mu       sync.Mutex
	frames   int
	last     time.Time // when a picture came
	sequence uint32
	gap      time.Duration // the longest between two
}

func (a *audience) Connected(transport.Peer) {}
func (a *audience) Mode(transport.Mode)      {}
func (a *audience) Status(transport.Status)  {}
func (a *audience) Disconnected(error)       {}

func (a *audience) Frame(f *capture.Frame, _ capture.Lost) {
	defer f.Release()
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Sequence <= a.sequence {
		a.t.Errorf("picture %d came after %d", f.Sequence, a.sequence)
	}
	for _, b := range f.Data {
		if b != byte(f.Sequence) {
			a.t.Errorf("picture %d was not sent like this", f.Sequence)
			break
		}
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
	film, a := newMovie(), &audience{t: t}
	l := links(c)
	var pool capture.Pool
	sender := &transport.Sender{Link: l[0], Feed: film, Log: slog.New(slog.DiscardHandler)}
	receiver := &transport.Receiver{Link: l[1], Viewer: a, Pool: &pool, Log: slog.New(slog.DiscardHandler)}
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

// recovery is how long a healthy cable may be without a picture after any faults:
// a silent death is noticed after 2 s, closing takes 1 s, and the sender leaves
// the device alone for 2 s; a second round may be needed where a viewer opened
// while the sender was greeting.
const recovery = 15 * time.Second

// TestSessionsSurviveFaults: after a minute of faults the picture comes back by
// itself, and no wrong or older one was shown.
func TestSessionsSurviveFaults(t *testing.T) {
	for _, k := range Kernels {
		for seed := range uint64(*schedules) {
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
