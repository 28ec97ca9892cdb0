package tbsim

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

var schedules = flag.Int("schedules", 500, "fault schedules in TestBackAfterFaults, over all lines")

// Programs of a stage, and the ends of the line that they use.
const (
	theSender = iota
	theViewer
)

// trouble is a fault of the line, or what happens to the program at that end: then
// it is started again after a while.
type trouble struct {
	what string // "killed" or "ended"; else it is the Event's Kind
	Event
}

func (x trouble) String() string {
	if x.what == "" {
		return x.Event.String()
	}
	return fmt.Sprintf("at %v for %v: program %d %s", x.At, x.For, x.End, x.what)
}

// line is what a schedule runs on.
type line interface {
	fmt.Stringer
	link(end int) transport.Link // of a program that starts
	strike(Event)
	kinds() []Kind // of the faults that it has
	// bound is how long it may take to be back after such a trouble.
	bound(trouble) time.Duration
	open() int // file handles
}

// stage is a sender and a viewer on a line.
type stage struct {
	*testing.T
	line     line
	film     *movie
	audience *audience
	pool     capture.Pool // of the viewer
	programs [2]*program
	log      strings.Builder
}

// program is a process that runs.
type program struct {
	*mortal
	cancel context.CancelFunc
	done   chan struct{}
}

// mortal is the Link of a process that may be killed.
type mortal struct {
	transport.Link
	conn transport.Conn
	dead bool
}

func (m *mortal) Open(ctx context.Context) (transport.Conn, error) {
	if m.dead {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := m.Link.Open(ctx)
	m.conn = conn
	return conn, err
}

func (s *stage) start(i int) {
	m := &mortal{Link: s.line.link(i)}
	ctx, cancel := context.WithCancel(s.Context())
	p := &program{mortal: m, cancel: cancel, done: make(chan struct{})}
	s.programs[i] = p
	log := slog.New(slog.DiscardHandler)
	run := (&transport.Sender{Link: m, Feed: s.film, Log: log}).Run
	if i == theViewer {
		receiver := &transport.Receiver{Link: m, Viewer: s.audience, Pool: &s.pool, Log: log}
		receiver.Start(capture.Want{})
		run = receiver.Run
	}
	go func() {
		defer close(p.done)
		if err := run(ctx); err != nil {
			s.Errorf("program %d ended: %v", i, err)
		}
		m.Close()
	}()
}

// kill ends a program as SIGKILL does: its descriptors are closed wherever it is.
func (s *stage) kill(i int) {
	p := s.programs[i]
	p.dead = true
	if p.conn != nil {
		p.conn.Close()
	}
	synctest.Wait() // until it can write nothing more
	p.cancel()
}

// end ends a program as SIGTERM does.
func (s *stage) end(i int) {
	s.programs[i].cancel()
	s.await(i)
}

// await waits until a program is no more.
func (s *stage) await(i int) {
	select {
	case <-s.programs[i].done:
	case <-time.After(5 * time.Second):
		s.Errorf("program %d does not end", i)
		<-s.programs[i].done
	}
}

// run has the troubles happen, and returns when all are over.
func (s *stage) run(troubles []trouble) {
	type step struct {
		at time.Duration
		do func()
	}
	var steps []step
	for _, x := range troubles {
		end := func() {}
		begin := func() { s.line.strike(x.Event) }
		switch x.what {
		case "killed":
			begin = func() { s.kill(x.End) }
			end = func() { s.start(x.End) }
		case "ended":
			begin = func() { s.end(x.End) }
			end = func() { s.start(x.End) }
		}
		steps = append(steps, step{x.At, begin}, step{x.At + x.For, end})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.at - b.at) })
	begun := time.Now()
	for _, step := range steps {
		time.Sleep(time.Until(begun.Add(step.at)))
		step.do()
	}
	time.Sleep(5 * time.Millisecond) // a host resumes
}

// outage is how long a picture that is due may be missing.
const outage = 600 * time.Millisecond

// back checks that from now on it takes no longer than the bound until pictures
// that are captured from now on come without interruption, and returns how long.
func (s *stage) back(bound time.Duration) time.Duration {
	whole := time.Now()
	s.audience.watch(whole)
	time.Sleep(bound)
	back, last := s.audience.back()
	if last.IsZero() || time.Since(last) > outage {
		s.Errorf("no picture within %v; the last one came %v ago", bound, time.Since(last))
	}
	return back.Sub(whole)
}

// test runs a seed's schedule.
func (s *stage) test(luck *rand.Rand, note func(string, time.Duration)) {
	first := luck.IntN(2)
	late := time.Duration(spread(luck, 1e3, 9e9))
	s.start(first)
	time.Sleep(late)
	s.start(1 - first)
	d := s.back(s.line.bound(trouble{what: "started"}))
	note(fmt.Sprint("start ", first), d)
	fmt.Fprintf(&s.log, "program %d started, the other after %v: back after %v\n", first, late, d)
	if s.Failed() {
		return
	}
	troubles := s.draw(luck)
	bound := time.Duration(0)
	for _, x := range troubles {
		fmt.Fprintln(&s.log, x)
		bound = max(bound, s.line.bound(x))
	}
	s.run(troubles)
	d = s.back(bound)
	name := fmt.Sprint(len(troubles), " at once")
	if len(troubles) == 1 {
		name = strings.TrimSpace(troubles[0].Kind.String())
		if troubles[0].what != "" {
			name = troubles[0].what
		}
		name += fmt.Sprint(" ", troubles[0].End)
	}
	note(name, d)
}

// draw draws one fault, at times more.
func (s *stage) draw(luck *rand.Rand) (troubles []trouble) {
	kinds := s.line.kinds()
	for range 1 + luck.IntN(7)/5 + luck.IntN(7)/6 {
		x := trouble{Event: Event{
			At:  time.Duration(spread(luck, 1e6, 1e9)),
			For: time.Duration(spread(luck, 1e6, 6e9)),
			End: luck.IntN(2),
		}}
		if n := luck.IntN(len(kinds) + 4); n < len(kinds) {
			x.Kind = kinds[n]
			x.amount(luck)
		} else {
			x.what = []string{"killed", "ended"}[n%2]
		}
		if slices.ContainsFunc(troubles, func(y trouble) bool { return y.what != "" && x.what != "" && y.End == x.End }) {
			continue // one program lives once
		}
		troubles = append(troubles, x)
	}
	return troubles
}

// finish ends both programs and checks that nothing is left.
func (s *stage) finish() {
	for i, p := range s.programs {
		if p != nil {
			s.end(i)
		}
	}
	if n := s.film.pool.Outstanding() + s.pool.Outstanding(); n != 0 {
		s.Errorf("%d frames were not released", n)
	}
	time.Sleep(2 * time.Second) // a program that was killed is closing
	if n := s.line.open(); n != 0 {
		s.Errorf("%d files are open", n)
	}
}

// tally is how long recoveries took.
type tally map[string][]time.Duration

func (y tally) String() string {
	var b strings.Builder
	names := []string{}
	for name := range y {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		d := y[name]
		slices.Sort(d)
		fmt.Fprintf(&b, "%-14s %5d times: median %6v, 99%% %6v, at most %6v\n", name, len(d),
			d[len(d)/2].Round(1e6), d[len(d)*99/100].Round(1e6), d[len(d)-1].Round(1e6))
	}
	return b.String()
}

// TestBackAfterFaults: the picture comes back by itself in the time that SPEC.md
// gives, and no wrong or older one was shown.
func TestBackAfterFaults(t *testing.T) {
	for i, k := range Kernels {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			testLine(t, i, func(luck *rand.Rand, seed uint64) line { return newWire(luck, seed, k) })
		})
	}
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		testLine(t, len(Kernels), func(*rand.Rand, uint64) line { return newSockets() })
	})
}

func testLine(t *testing.T, number int, lay func(*rand.Rand, uint64) line) {
	begin, end := uint64(0), uint64(*schedules/(len(Kernels)+1))
	if *oneSeed >= 0 {
		begin, end = uint64(*oneSeed), uint64(*oneSeed)+1
	}
	times := tally{}
	bad := 0
	for seed := begin; seed < end; seed++ {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("seed %d", seed)
					panic(r)
				}
			}()
			synctest.Test(t, func(t *testing.T) {
				luck := rand.New(rand.NewPCG(seed, uint64(number)))
				film := newMovie()
				film.pace(time.Duration(spread(luck, 30e6, 120e6)), spread(luck, 1e3, 80e3))
				s := &stage{T: t, film: film, audience: &audience{t: t, film: film}, line: lay(luck, seed)}
				s.test(luck, func(what string, d time.Duration) { times[what] = append(times[what], d) })
				s.finish()
				if t.Failed() {
					t.Logf("%v\n%v", s.line, s.log.String())
					t.Logf("repeat with -run '%s' -seed %d", t.Name(), seed)
					bad++
				}
			})
		}()
		if bad >= 30 {
			break
		}
	}
	t.Logf("%d failed; back\n%v", bad, times)
}
