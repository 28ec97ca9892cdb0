package audio

import (
	"time"

	"github.com/tbcam/tbcam/capture"
)

// The loop that holds the count of samples to the times of the blocks. A sound card's
// clock is off by 20 to 200 ppm and changes slowly; stamps of single blocks are off by
// some milliseconds (measured: 1.2 ms rms, 4 ms at most on a loaded machine).
const (
	period    = float64(capture.AudioPeriod) / float64(time.Second)
	smoothing = period / 1               // the error is averaged over a second
	gain      = 0.1                      // an error is corrected within ten seconds
	driftGain = gain * gain / 4 * period // the drift is learned without overshoot
	maxAdjust = 0.005                    // nobody hears that
)

// pace finds the rate at which blocks have to be resampled.
type pace struct {
	smooth float64 // seconds by which the samples come before their times, averaged
	drift  float64 // of the far clock, learned
}

// adjust takes by how much the next block's time is later than its place in the samples,
// and returns how many samples more than there are, per sample, to make of it.
func (p *pace) adjust(late time.Duration) float64 {
	p.smooth += (late.Seconds() - p.smooth) * smoothing
	p.drift = bound(p.drift + p.smooth*driftGain)
	return bound(p.smooth*gain + p.drift)
}

func bound(adjust float64) float64 { return min(max(adjust, -maxAdjust), maxAdjust) }
