package meter

import (
	"math"
	"slices"
	"time"
)

// round returns the summary with as many digits as mean something: of times in
// milliseconds the microseconds, of rates and loads less.
func (s Summary) round() Summary {
	s.Time = s.Time.Round(time.Millisecond)
	s.Figures.round()
	s.LastSecond.round()
	if s.Mode != nil {
		mode := *s.Mode
		mode.FPS = roundTo(mode.FPS, 3)
		s.Mode = &mode
	}
	if s.Clock != nil {
		s.Clock = &Clock{Offset: roundTo(s.Clock.Offset, 3), Uncertainty: roundTo(s.Clock.Uncertainty, 3)}
	}
	if s.Recorder != nil {
		recorder := *s.Recorder
		recorder.Seconds = roundTo(recorder.Seconds, 3)
		if a := recorder.Audio; a != nil {
			recorder.Audio = &Audio{roundTo(a.Silence, 3), roundTo(a.Dropped, 3), roundTo(a.Correction, 1)}
		}
		s.Recorder = &recorder
	}
	s.Playback = slices.Clone(s.Playback)
	for i, p := range s.Playback {
		s.Playback[i] = p.round()
	}
	return s
}

func (f *Figures) round() {
	f.Seconds, f.FPS, f.MBps, f.CPU = roundTo(f.Seconds, 3), roundTo(f.FPS, 2), roundTo(f.MBps, 3), roundTo(f.CPU, 1)
	f.Latency = slices.Clone(f.Latency)
	for i, l := range f.Latency {
		f.Latency[i] = Latency{l.Stage, roundTo(l.P50, 3), roundTo(l.P95, 3), roundTo(l.P99, 3), roundTo(l.Max, 3)}
	}
}

// roundTo returns a number with so many digits behind the point.
func roundTo(x float64, digits int) float64 {
	unit := math.Pow10(digits)
	return math.Round(x*unit)/unit + 0 // no negative zero
}
