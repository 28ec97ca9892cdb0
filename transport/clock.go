package transport

import (
	"fmt"
	"sync"
	"time"

	"github.com/tbcam/tbcam/transport/wire"
)

// timeline expresses times as nanoseconds since an hour before it was made, so
// that a time that is known is positive.
type timeline struct{ origin time.Time }

func newTimeline() timeline { return timeline{time.Now().Add(-time.Hour)} }

func (l timeline) nanosOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(max(0, t.Sub(l.origin)))
}

func (l timeline) timeOf(nanos int64) time.Time { return l.origin.Add(time.Duration(nanos)) }

// Clock estimates the offset between the monotonic clocks of the two hosts. An
// exchange gives it to half of its round trip, and ever less exactly as it grows
// older and the clocks drift: the Clock believes the exchange with the least
// error now.
type Clock struct {
	line timeline
	mu   sync.Mutex
	last [clockSamples]clockSample // a ring
	n    int                       // samples taken in all
	best clockSample
	pace time.Duration // by which the clocks may drift apart per second
}

const (
	clockSamples = 16
	// drift is how far two crystals part per second at worst, 50 ppm each. While a
	// clock is being set right by NTP it may run away faster than that.
	drift = 100 * time.Microsecond
)

type clockSample struct {
	offset time.Duration // of the sender's clock against ours
	trip   time.Duration // there and back, without the sender's own time
	taken  int64         // when, on line
}

// errorAt is the largest error that the sample has at the time now, of clocks that
// drift at a pace.
func (s clockSample) errorAt(now int64, pace time.Duration) time.Duration {
	age := time.Duration(now - s.taken)
	return s.trip/2 + time.Duration(age.Seconds()*float64(pace))
}

// driftFrom is the least pace at which the clocks must have drifted between two
// samples.
func (s clockSample) driftFrom(older clockSample) time.Duration {
	const shortest = 200 * time.Millisecond // below that, rounding would count
	between := time.Duration(s.taken - older.taken)
	beyond := (s.offset - older.offset).Abs() - s.trip/2 - older.trip/2
	if between < shortest || beyond <= 0 {
		return 0
	}
	return time.Duration(float64(beyond) / between.Seconds())
}

// addSample takes the times of one exchange; arrived is when the Pong was read.
func (c *Clock) addSample(x wire.Clock, arrived int64) {
	there, back := x.Received-x.Ping, x.Pong-arrived
	sample := clockSample{
		offset: time.Duration(there/2 + back/2),
		trip:   time.Duration(there - back),
		taken:  arrived,
	}
	if sample.trip < 0 || x.Pong < x.Received {
		return // while the sender waited to answer, the clocks drifted by more
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[c.n%clockSamples] = sample
	c.n++
	samples := c.last[:min(c.n, clockSamples)]
	c.pace = drift
	for _, s := range samples {
		c.pace = max(c.pace, 2*sample.driftFrom(s))
	}
	c.best = sample
	for _, s := range samples {
		if s.errorAt(arrived, c.pace) < c.best.errorAt(arrived, c.pace) {
			c.best = s
		}
	}
}

// Estimate returns the offset of the sender's clock and the largest error it
// can have. Before the first exchange ok is false.
func (c *Clock) Estimate() (offset, uncertainty time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.best.offset, c.best.errorAt(c.line.nanosOf(time.Now()), c.pace), c.n > 0
}

// Bounds of the times in frames.
const (
	// maxAhead and maxAge are how long after its arrival, and before it, a frame may
	// have been captured.
	maxAhead = time.Second
	maxAge   = time.Minute
	// maxSlew is how much faster or slower per second a clock may run than ours: what
	// adjtimex(2) can have it do.
	maxSlew = 500 * time.Microsecond
	// maxUncertainty is how badly the offset may be known that a session begins with.
	maxUncertainty = liveness / 2
)

// sessionTimes maps the capture times of a session to ours by the offset that the
// clocks had when it began. A sender that could choose any time would have files
// grow, fresh ones be deleted, and schedules wait.
type sessionTimes struct {
	line        timeline
	offset      time.Duration
	uncertainty time.Duration // of offset
	begun       time.Time
}

func newSessionTimes(line timeline, offset, uncertainty time.Duration) sessionTimes {
	return sessionTimes{line, offset, min(uncertainty, maxUncertainty), time.Now()}
}

// captureTime returns when a frame was captured that has arrived now: at latest now
// where the sender does not know.
func (s *sessionTimes) captureTime(nanos int64, arrived time.Time) (time.Time, error) {
	if nanos == 0 {
		return arrived, nil
	}
	t := s.line.timeOf(nanos - int64(s.offset))
	slack := s.uncertainty + time.Duration(arrived.Sub(s.begun).Seconds()*float64(maxSlew))
	switch age := arrived.Sub(t); {
	case age < -maxAhead-slack:
		return t, fmt.Errorf("it was captured %v after it arrived", -age.Round(time.Millisecond))
	case age > maxAge+slack:
		return t, fmt.Errorf("it was captured %v before it arrived", age.Round(time.Millisecond))
	}
	return t, nil
}

// localTime maps a time of the sender's clock to ours; unknown stays unknown.
func (c *Clock) localTime(nanos int64) time.Time {
	offset, _, ok := c.Estimate()
	if nanos == 0 || !ok {
		return time.Time{}
	}
	return c.line.timeOf(nanos - int64(offset))
}
