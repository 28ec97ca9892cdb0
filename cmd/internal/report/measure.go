package report

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// Line is what is measured: a transport.Receiver that runs.
type Line interface {
	Probe(ctx context.Context, up, down int) (transport.Exchange, error)
	Stats() transport.Stats
}

const (
	// tripEvery is how long an idle line rests between two round trips.
	tripEvery = 2 * time.Millisecond
	// firstPadding is how many bytes the first exchange has that measures a rate; a line
	// that carries 256 KiB in 2 s, as SPEC.md wants, takes 0.5 s for it.
	firstPadding = 64 << 10
	// An exchange that takes less than enough is repeated with twice as many bytes, and one
	// that takes more than twice that with as many as take enough.
	enough = 25 * time.Millisecond
	// stall is how long an exchange must take that counts as one.
	stall = 250 * time.Millisecond
	// retryEvery is how often a session is looked for that has ended.
	retryEvery = 50 * time.Millisecond
)

// Rate is what went one way.
type Rate struct {
	Bytes int64
	Took  time.Duration
}

// PerSecond returns the rate in bytes per second, 0 if nothing was measured.
func (r Rate) PerSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Bytes) / r.Took.Seconds()
}

// Figures are the results of a measurement.
type Figures struct {
	Trips    []time.Duration // round trips on the idle line, sorted
	Down, Up Rate            // to the viewer, and from it
	Stalls   int             // exchanges that took longer than stall
	Longest  time.Duration   // exchange
	Lost     int64           // bytes that were asked for and did not come
	Damage   wire.Damage
	Ended    int // sessions that ended meanwhile
}

// Percentile returns the round trip that a part of all, between 0 and 1, do not exceed.
func (f *Figures) Percentile(part float64) time.Duration {
	if len(f.Trips) == 0 {
		return 0
	}
	return f.Trips[min(int(part*float64(len(f.Trips))), len(f.Trips)-1)]
}

// Measure measures a line with a session: round trips, then the rate to this end, then the
// rate from it, each for so long. A session that ends meanwhile is counted, and the next one
// waited for.
func Measure(ctx context.Context, line Line, each time.Duration) (*Figures, error) {
	before := line.Stats().Damage
	m := &measurement{line: line, each: each}
	if err := m.repeat(ctx, m.measureTrip); err != nil {
		return nil, err
	}
	slices.Sort(m.Trips)
	for _, way := range []*Rate{&m.Down, &m.Up} {
		size := firstPadding
		err := m.repeat(ctx, func(ctx context.Context) error { return m.measureRate(ctx, way, &size) })
		if err != nil {
			return nil, err
		}
	}
	after := line.Stats().Damage
	m.Damage = wire.Damage{Bytes: after.Bytes - before.Bytes, Records: after.Records - before.Records}
	return &m.Figures, nil
}

type measurement struct {
	Figures
	line Line
	each time.Duration
}

// repeat makes exchanges until the time of a part is over.
func (m *measurement) repeat(ctx context.Context, exchange func(context.Context) error) error {
	ended := false
	for end := time.Now().Add(m.each); time.Now().Before(end); {
		err := exchange(ctx)
		if err != nil && !errors.Is(err, transport.ErrNoSession) {
			return err
		}
		if err != nil && !ended {
			m.Ended++
		}
		if ended = err != nil; ended {
			if err := transport.Sleep(ctx, retryEvery); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureTrip makes one exchange without padding.
func (m *measurement) measureTrip(ctx context.Context) error {
	x, err := m.line.Probe(ctx, 0, 0)
	if err != nil {
		return err
	}
	m.noteStall(x)
	m.Trips = append(m.Trips, x.RoundTrip)
	return transport.Sleep(ctx, tripEvery)
}

// measureRate makes one exchange with padding in a direction, and sets how much the next
// one has.
func (m *measurement) measureRate(ctx context.Context, way *Rate, size *int) error {
	up, down := *size, 0
	if way == &m.Down {
		up, down = 0, *size
	}
	x, err := m.line.Probe(ctx, up, down)
	if err != nil {
		return err
	}
	m.noteStall(x)
	way.Bytes += int64(*size)
	way.Took += x.Took
	m.Lost += int64(max(0, down-x.Padding))
	switch {
	case x.Took < enough:
		*size = min(*size*2, transport.MaxProbe)
	case x.Took > 2*enough:
		*size = max(int(int64(*size)*int64(enough)/int64(x.Took)), firstPadding)
	}
	return nil
}

func (m *measurement) noteStall(x transport.Exchange) {
	m.Longest = max(m.Longest, x.Took)
	if x.Took > stall {
		m.Stalls++
	}
}
