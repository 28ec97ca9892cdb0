package latencytest

import (
	"math/rand/v2"
	"time"
)

// Schedule decides when codes change: each stays for three to five frames of the
// camera, so that it is seen whole, and for a random time, so that the changes fall
// anywhere between two frames.
type Schedule struct {
	period time.Duration
	random *rand.Rand
}

// fastest is the most frames per second that are believed: the peer claims how many
// there are.
const fastest = 1000

// NewSchedule returns a schedule for a camera; what no camera has, such as 0 frames
// per second, is taken for 30.
func NewSchedule(fps float64, random *rand.Rand) Schedule {
	if fps < 1 || fps > fastest {
		fps = 30
	}
	return Schedule{time.Duration(float64(time.Second) / fps), random}
}

// Next returns how long to wait for the next change.
func (s Schedule) Next() time.Duration {
	return 3*s.period + time.Duration(s.random.Int64N(int64(2*s.period)))
}
