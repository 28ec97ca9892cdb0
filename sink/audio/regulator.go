package audio

import (
	"time"

	"github.com/tbcam/tbcam/capture"
)

// How the margin follows what happens: blocks that came too late once do so again, and a
// busy host is not busy for good.
const (
	marginStep = 5 * time.Millisecond // after an underrun
	marginMost = 100 * time.Millisecond
	// maxRate bounds the rate a little below that of a recording: so a tone stays within 0.5 %.
	maxRate = 0.0045
	// marginFade is by how much it shrinks with each block: a millisecond a minute.
	marginFade = time.Millisecond * capture.AudioPeriod / time.Minute
)

// Level is how much audio waits for the cycles of a sound server. Numbers of samples are
// per channel.
type Level struct {
	Waiting   int           // samples
	Cycle     int           // samples that are taken together; 0 before the first
	Since     time.Duration // the last cycle
	Target    int           // samples that are to wait
	Filling   bool          // silence is played until enough waits
	Underruns uint64        // times that too little waited
	Silence   uint64        // samples of silence that were played for that
	Dropped   uint64        // samples that were too much
}

// fill returns how many samples wait for a cycle, if blocks and cycles were even: without
// the sawteeth of both.
func (l *Level) fill() int64 {
	return int64(l.Waiting) - capture.AudioSamples(min(l.Since, time.Second)) + int64(l.Cycle)
}

// Regulator keeps the audio that waits for a sound server near a target, whose clock and
// whose cycles are not those of the far microphone. It is not safe for concurrent use.
type Regulator struct {
	// Delay is how much longer than necessary audio is to wait.
	Delay time.Duration

	pace      pace
	margin    time.Duration
	underruns uint64
}

// Adjust is called after each block. It returns the rate at which samples are to be taken,
// where 1 is that of the server, and how many more of them are to wait than the cycles need.
func (r *Regulator) Adjust(l Level) (rate float64, margin int) {
	if l.Underruns > r.underruns {
		r.margin = min(r.margin+marginStep, marginMost)
	}
	r.underruns = l.Underruns // it starts over with a new node
	r.margin = max(r.margin-marginFade, 0)
	margin = int(capture.AudioSamples(r.margin + r.Delay))
	if l.Filling || l.Cycle == 0 {
		r.pace.smooth = 0 // it begins at the target
		return 1 + r.pace.drift, margin
	}
	rate = r.pace.adjust(capture.AudioDuration(l.fill() - int64(l.Target)))
	return 1 + min(max(rate, -maxRate), maxRate), margin
}

// Latency returns how long a sample that has just come waits until it is played.
func (l *Level) Latency() time.Duration { return capture.AudioDuration(max(l.fill(), 0)) }
