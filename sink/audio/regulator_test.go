package audio

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// server is a sound server in virtual time, which takes samples as capture/pipewire's
// player does.
type server struct {
	quantum int
	clock   float64 // its rate, where 1 is that of the test
	margin  int
	rate    float64

	waiting float64
	level   Level
	next    float64 // seconds, of the next cycle
	last    float64 // of the last one
	written float64 // when a block came last
}

// runUntil has the cycles of a time happen.
func (s *server) runUntil(now float64) {
	for ; s.next <= now; s.next += float64(s.quantum) / capture.AudioRate / s.clock {
		s.runCycle(s.next)
	}
}

func (s *server) runCycle(now float64) {
	s.last = now
	s.level.Cycle = s.quantum
	s.level.Target = 2*s.quantum + capture.AudioBlock + s.margin
	fill := s.waiting + min((now-s.written)*capture.AudioRate, capture.AudioBlock)
	excess := fill - float64(s.level.Target)
	need := float64(s.quantum) * s.rate
	switch {
	case excess > capture.AudioRate/10 || s.level.Filling && excess >= 0:
		s.waiting -= excess
		s.level.Dropped += uint64(excess)
		s.level.Filling = false
	case !s.level.Filling && s.waiting < need:
		s.level.Underruns++
		s.level.Filling = true
	}
	if !s.level.Filling {
		s.waiting -= need
	}
}

// write takes a block, and returns how the server stands.
func (s *server) write(now float64, samples int) Level {
	s.waiting += float64(samples)
	s.written = now
	s.level.Waiting = int(s.waiting)
	s.level.Since = time.Duration((now - s.last) * float64(time.Second))
	return s.level
}

// TestRegulator: over six hours, with clocks that are apart and blocks that jitter, nothing
// is dropped or missing once it plays, the fill stays within 3 ms of the target, and the
// rate is what the clocks are apart.
func TestRegulator(t *testing.T) {
	for _, c := range []struct {
		quantum int
		ppm     float64
	}{{256, 200}, {256, -200}, {512, 80}, {1024, -150}, {512, 300}} {
		s := &server{quantum: c.quantum, clock: 1 + c.ppm/1e6, rate: 1, level: Level{Filling: true}}
		var r Regulator
		random := rand.New(rand.NewPCG(1, 2))
		var worst, rates float64
		const blocks, settled = 2160000, 100 * 60
		for n := range blocks {
			at := float64(n) / 100
			now := at + random.Float64()*0.003
			s.runUntil(now)
			level := s.write(now, capture.AudioBlock)
			s.rate, s.margin = r.Adjust(level)
			if n > settled {
				worst = max(worst, math.Abs(r.pace.smooth))
				rates += s.rate - 1
			}
		}
		ppm := rates / (blocks - settled) * 1e6
		if s.level.Underruns > 0 || worst > 0.003 || math.Abs(ppm+c.ppm) > 5 {
			t.Errorf("%+v: %d underruns, the fill is %.1f ms off, the rate %.0f ppm", c, s.level.Underruns, worst*1000, ppm)
		}
		if most := uint64(capture.AudioBlock + c.quantum); s.level.Dropped > most { // when it began
			t.Errorf("%+v: dropped %d samples", c, s.level.Dropped)
		}
	}
}

// TestRegulatorMargin: underruns raise what is to wait, by 5 ms each and 100 ms in all, and
// time lowers it, by 1 ms a minute. The delay is in addition.
func TestRegulatorMargin(t *testing.T) {
	r := Regulator{Delay: 50 * time.Millisecond}
	level := Level{Filling: true, Cycle: 256}
	want := func(ms float64) {
		t.Helper()
		_, margin := r.Adjust(level)
		if got := float64(margin) / capture.AudioRate * 1000; math.Abs(got-ms) > 0.1 {
			t.Errorf("the margin is %.2f ms, want %.1f", got, ms)
		}
	}
	want(50)
	level.Underruns = 1
	want(55)
	want(55)
	for range 5999 {
		r.Adjust(level)
	}
	want(54)
	for range 30 {
		level.Underruns++
		r.Adjust(level)
	}
	want(150)
	for range 700000 {
		r.Adjust(level)
	}
	want(50)
	level.Underruns = 0 // of another node
	want(50)
}

// TestRegulatorBounds: whatever is reported, the rate is within 0.5 %, and a level that is
// filled anew begins with the drift that is known.
func TestRegulatorBounds(t *testing.T) {
	var r Regulator
	for _, waiting := range []int{0, 1 << 30, -1 << 30, 96000, 0} {
		for range 3000 {
			level := Level{Waiting: waiting, Cycle: 256, Since: time.Hour, Target: 992}
			if rate, _ := r.Adjust(level); math.Abs(rate-1) > maxRate+1e-9 {
				t.Fatalf("the rate is %v", rate)
			}
		}
	}
	drift := r.pace.drift
	if rate, _ := r.Adjust(Level{Filling: true}); rate != 1+drift {
		t.Errorf("it begins with %v, want %v", rate, 1+drift)
	}
}
