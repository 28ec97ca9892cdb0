package virtualmic

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/audio"
)

var errGone = errors.New("the server has gone")

// fake is a sound server with a node.
type fake struct {
	changed chan struct{}

	mu      sync.Mutex
	refuse  error // of Open
	opened  int
	closed  int
	stream  bool
	lost    error
	written []byte
	level   audio.Level
	rate    float64
	margin  int
}

func (f *fake) locked(do func()) { f.mu.Lock(); defer f.mu.Unlock(); do() }

func (f *fake) Open(capture.AudioFormat) (n Node, err error) {
	f.locked(func() {
		if err = f.refuse; err == nil {
			f.opened++
			f.lost = nil
			f.changed = make(chan struct{}, 1)
		}
	})
	return f, err
}

func (f *fake) Write(samples []byte) (l audio.Level, err error) {
	f.locked(func() {
		f.written = append(f.written, samples...)
		l, err = f.level, f.lost
	})
	return l, err
}

func (f *fake) Adjust(rate float64, margin int) { f.locked(func() { f.rate, f.margin = rate, margin }) }

func (f *fake) Changed() (c <-chan struct{}) { f.locked(func() { c = f.changed }); return c }

func (f *fake) Streaming() (yes bool) {
	f.locked(func() { yes = f.stream && f.lost == nil })
	return yes
}

func (f *fake) Err() (err error) { f.locked(func() { err = f.lost }); return err }

func (f *fake) Close() error {
	f.locked(func() { f.closed++; close(f.changed) })
	return nil
}

// set changes what the node reports.
func (f *fake) set(streaming bool, lost error) {
	f.locked(func() { f.stream, f.lost = streaming, lost; f.changed <- struct{}{} })
	synctest.Wait()
}

// take returns what was written since the last call.
func (f *fake) take() (written []byte) {
	f.locked(func() { written, f.written = f.written, nil })
	return written
}

// stage is a microphone on a fake server.
type stage struct {
	*fake
	t     *testing.T
	m     *Microphone
	pool  capture.Pool
	needs []bool
	log   bytes.Buffer
}

// stageMicrophone runs a test in virtual time; nothing may be left of it.
func stageMicrophone(t *testing.T, o Options, do func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{fake: &fake{level: audio.Level{Filling: true}}, t: t}
		o.Name, o.Driver, o.Log = "virtual microphone", s.fake, slog.New(slog.NewTextHandler(&s.log, nil))
		o.Need = func(yes bool) { s.locked(func() { s.needs = append(s.needs, yes) }) }
		s.m = New(o)
		do(s)
		if err := s.m.Close(); err != nil {
			t.Error(err)
		}
		if n := s.pool.Outstanding(); n != 0 || s.opened != s.closed {
			t.Errorf("%d blocks are not released, %d of %d nodes closed", n, s.closed, s.opened)
		}
	})
}

func (s *stage) start() {
	s.t.Helper()
	if err := s.m.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// present presents a block that is full of a value.
func (s *stage) present(format capture.AudioFormat, sequence uint32, value byte) {
	s.t.Helper()
	f := s.pool.Get(format.BlockSize())
	for i := range f.Data {
		f.Data[i] = value
	}
	f.Format, f.Sequence = capture.Format{Audio: format}, sequence
	f.At[capture.Captured] = time.Now().Add(-capture.AudioPeriod)
	if err := s.m.Present(f); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) wantNeeds(want ...bool) {
	s.t.Helper()
	s.locked(func() {
		if !slices.Equal(s.needs, want) {
			s.t.Errorf("it needed %v, want %v", s.needs, want)
		}
	})
}

// TestOnDemand: blocks are needed while somebody listens and for 3 s after, whatever comes
// in between.
func TestOnDemand(t *testing.T) {
	stageMicrophone(t, Options{OnDemand: true}, func(s *stage) {
		s.start()
		s.present(capture.Stereo, 1, 1)
		s.wantNeeds()
		s.set(true, nil)
		s.wantNeeds(true)
		s.present(capture.Stereo, 2, 1)
		s.set(false, nil)
		time.Sleep(2 * time.Second)
		s.set(true, nil)
		time.Sleep(time.Minute)
		s.wantNeeds(true)
		s.set(false, nil)
		time.Sleep(grace - time.Millisecond)
		synctest.Wait()
		s.wantNeeds(true)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		s.wantNeeds(true, false)
		if n := len(s.take()); n != capture.Stereo.BlockSize() {
			t.Errorf("%d bytes were written", n)
		}
	})
}

// TestLostBlocks: lost blocks are silence of their length, but for a long gap and for what
// was lost while nobody listened.
func TestLostBlocks(t *testing.T) {
	stageMicrophone(t, Options{}, func(s *stage) {
		s.start()
		size := capture.Stereo.BlockSize()
		for _, c := range []struct {
			sequence uint32
			silent   int
		}{{7, 0}, {8, 0}, {12, 3}, {13 + maxLost, maxLost}, {115 + 2*maxLost, 0}, {5, 0}, {6, 0}} {
			s.present(capture.Stereo, c.sequence, 9)
			got := s.take()
			silent := bytes.Count(got, make([]byte, size))
			if len(got) != (c.silent+1)*size || silent != c.silent || got[len(got)-1] != 9 {
				t.Errorf("before block %d: %d bytes, %d silent blocks, want %d", c.sequence, len(got), silent, c.silent)
			}
		}
		if s := s.m.Stats(); s.Lost != 3+maxLost {
			t.Errorf("%d blocks are lost", s.Lost)
		}
	})
}

// TestChannels: blocks get the channels of the node, and silence while it is muted.
func TestChannels(t *testing.T) {
	for _, node := range []capture.AudioFormat{capture.Mono, capture.Stereo} {
		stageMicrophone(t, Options{Format: node}, func(s *stage) {
			s.start()
			for n, block := range []capture.AudioFormat{capture.Mono, capture.Stereo} {
				s.present(block, uint32(n), 5)
				if got := s.take(); len(got) != node.BlockSize() || slices.Max(got) != 5 || slices.Min(got) != 5 {
					t.Errorf("%v to %v: %d bytes", block, node, len(got))
				}
			}
			s.m.Mute(true)
			s.present(capture.Mono, 2, 5)
			if got := s.take(); len(got) != node.BlockSize() || slices.Max(got) != 0 {
				t.Errorf("muted: %d bytes", len(got))
			}
			s.present(capture.AudioFormat{Rate: 8000, Channels: 1}, 3, 5)
			if got := s.take(); len(got) != 0 {
				t.Error("a block of another rate was played")
			}
		})
	}
}

// TestServerRestarts: a node that is lost is opened again within a second of when it can be,
// the reason is logged once, and the figures go on.
func TestServerRestarts(t *testing.T) {
	stageMicrophone(t, Options{OnDemand: true}, func(s *stage) {
		s.refuse = errGone
		if err := s.m.Start(); !errors.Is(err, errGone) {
			t.Errorf("it starts with %v", err)
		}
		s.locked(func() { s.refuse = nil })
		time.Sleep(firstRetry + time.Millisecond)
		synctest.Wait()
		s.set(true, nil)
		s.locked(func() { s.level = audio.Level{Underruns: 2, Silence: 512, Cycle: 256, Target: 992, Waiting: 992} })
		s.present(capture.Stereo, 1, 1)
		s.locked(func() { s.refuse, s.level = errGone, audio.Level{Underruns: 1} })
		s.set(true, errGone)
		time.Sleep(time.Minute)
		synctest.Wait()
		s.wantNeeds(true, false)
		s.locked(func() { s.refuse = nil })
		time.Sleep(retry)
		synctest.Wait()
		s.wantNeeds(true, false, true) // the node streams
		s.present(capture.Stereo, 1000, 1)
		if got := s.m.Stats(); got.Underruns != 3 || got.Silence != 512 || got.Lost != 0 {
			t.Errorf("%+v", got)
		}
		if n := strings.Count(s.log.String(), errGone.Error()); n != 1 || s.opened != 2 {
			t.Errorf("opened %d times, and logged the reason %d times", s.opened, n)
		}
	})
}

// TestDelay: a delay is what is missing to the latency that is wanted, and what jitters
// by less than 5 ms does not move it.
func TestDelay(t *testing.T) {
	wanted := 100 * time.Millisecond
	delay := func(latency time.Duration) time.Duration { return max(wanted-latency, 0) }
	stageMicrophone(t, Options{Delay: delay}, func(s *stage) {
		s.start()
		s.locked(func() { s.level = audio.Level{Cycle: 480, Target: 960, Waiting: 960} })
		for _, c := range []struct{ latency, margin time.Duration }{{100, 80}, {103, 80}, {120, 100}, {10, 0}} {
			wanted = c.latency * time.Millisecond
			for n := range uint32(3) {
				s.present(capture.Stereo, n, 1)
				s.locked(func() { s.level.Target = 960 + s.margin })
			}
			if got := capture.AudioDuration(int64(s.margin)).Round(time.Millisecond); got != c.margin*time.Millisecond {
				t.Errorf("for %v it waits for %v more, want %v", wanted, got, c.margin*time.Millisecond)
			}
		}
		if got := s.m.Stats(); got.Latency < 20*time.Millisecond || got.Latency > 30*time.Millisecond {
			t.Errorf("the latency is %v", got.Latency)
		}
	})
}

// TestNoAllocations: a block costs none, also a converted one.
func TestNoAllocations(t *testing.T) {
	m := New(Options{Driver: quietDriver{}})
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var pool capture.Pool
	n := uint32(0)
	if allocs := testing.AllocsPerRun(1000, func() {
		f := pool.Get(capture.Mono.BlockSize())
		f.Format, f.Sequence = capture.Format{Audio: capture.Mono}, n
		n += 2 // each other one is lost
		_ = m.Present(f)
	}); allocs > 0 {
		t.Errorf("%v allocations per block", allocs)
	}
}

// quietDriver opens nodes that keep nothing.
type quietDriver struct{}

// Open implements Driver.
func (quietDriver) Open(f capture.AudioFormat) (Node, error) {
	n, err := new(fake).Open(f)
	return quiet{n}, err
}

// quiet is a node that keeps nothing.
type quiet struct{ Node }

func (quiet) Write([]byte) (audio.Level, error) { return audio.Level{Cycle: 256}, nil }
