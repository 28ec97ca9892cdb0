package tbsim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind int

// The faults of a Schedule.
const (
	// Unplug pulls the cable, and puts it back at the end. With N it waits for
	// UnplugAfter(N); if so much is not sent, nothing happens.
	Unplug Kind = iota
	// Damage damages the N-th packet from then on, if so many leave before the end.
	Damage
	// Suspend puts the host to sleep until the end.
	Suspend
	// Stall lets nothing leave until the end.
	Stall
	// Slow lets at most N bytes per second leave until the end.
	Slow
	// NoHopIDs has opens fail with EINVAL until the end, if the device is closed.
	NoHopIDs
	// NoRings has opens fail with ENOMEM until the end.
	NoRings
	kinds int = iota
)

func (k Kind) String() string {
	return [...]string{"unplug", "damage", "suspend", "stall", "slow", "no HopIDs", "no rings"}[k]
}

// Event is a fault at a time.
type Event struct {
	At  time.Duration // since Run
	For time.Duration // until its end
	Kind
	End int // of the cable
	N   int // of Unplug, Damage, Slow
}

func (e Event) String() string {
	return fmt.Sprintf("at %v for %v: %v at end %d, n %d", e.At, e.For, e.Kind, e.End, e.N)
}

// Schedule is a list of faults in the order of their times.
type Schedule []Event

// String returns a line for each event.
func (s Schedule) String() string {
	var b strings.Builder
	for _, e := range s {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}

// Random returns faults that have all ended after the duration.
func Random(seed uint64, duration time.Duration) Schedule {
	rng := rand.New(rand.NewPCG(seed, 0))
	var s Schedule
	for at := drawSpread(rng, 1e6, 8e9); at < int(duration); at += drawSpread(rng, 1e6, 8e9) {
		e := Event{At: time.Duration(at), Kind: Kind(rng.IntN(kinds)), End: rng.IntN(2)}
		if e.For = time.Duration(drawSpread(rng, 1e5, 5e9)); e.At+e.For > duration {
			e.For = time.Duration(rng.Int64N(int64(duration - e.At)))
		}
		e.drawAmount(rng)
		s = append(s, e)
	}
	return s
}

// drawAmount draws N, where the kind has one.
func (e *Event) drawAmount(rng *rand.Rand) {
	switch {
	case e.Kind == Damage:
		e.N = drawSpread(rng, 1, 1000)
	case e.Kind == Slow:
		e.N = drawSpread(rng, 1e4, 1e6)
	case e.Kind == Unplug && rng.IntN(2) == 0:
		e.N = drawSpread(rng, 1, 4<<20)
	}
}

// drawSpread draws a number from low to high that has any number of digits as likely
// as any other.
func drawSpread(rng *rand.Rand, low, high float64) int {
	return int(low * math.Pow(high/low, rng.Float64()))
}

// Run begins a schedule and returns. What is to come when a test ends is
// forgotten with its bubble.
func (c *Cable) Run(s Schedule) { c.runSchedule(time.Now(), s) }

func (c *Cable) runSchedule(start time.Time, s Schedule) {
	if len(s) > 0 {
		time.AfterFunc(time.Until(start.Add(s[0].At)), func() {
			c.applyEvent(s[0])
			c.runSchedule(start, s[1:])
		})
	}
}

func (c *Cable) applyEvent(event Event) {
	e := c.ends[event.End]
	end := func() {}
	switch event.Kind {
	case Unplug:
		end = c.applyUnplug(e, event.N)
	case Damage:
		e.Damage(event.N)
		end = func() { e.Damage(0) }
	case Suspend:
		e.Suspend(event.For)
	case Stall:
		e.Stall(event.For)
	case Slow:
		e.SetRate(int64(event.N))
		end = func() { e.SetRate(0) }
	case NoHopIDs:
		_ = e.SetHopIDs(false) // EBUSY: they stay
		end = e.restoreSetup
	case NoRings:
		e.SetRings(false)
		end = e.restoreSetup
	}
	time.AfterFunc(event.For, end)
}

// restoreSetup sets up what the device lacks.
func (e *End) restoreSetup() {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.unset, e.noRings = false, false
}

func (c *Cable) applyUnplug(e *End, n int) (end func()) {
	if n == 0 {
		c.Unplug()
		return c.Plug
	}
	e.UnplugAfter(n)
	return func() {
		e.UnplugAfter(0)
		c.Plug()
	}
}
