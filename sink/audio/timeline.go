package audio

import (
	"time"

	"github.com/tbcam/tbcam/capture"
)

const (
	sampleBytes = 2
	// maxLate is the most that samples may be away from their times before they are put
	// there at once: silence fills what is missing, and what is too much is dropped.
	maxLate = 100 * time.Millisecond
	// maxLost bounds the blocks whose numbers count: of longer gaps the times do.
	maxLost = 100
)

// Timeline makes one line of samples of blocks: sample n belongs to n/48000 s after the
// start, by the times of the blocks. It is not safe for concurrent use.
type Timeline struct {
	format    capture.AudioFormat
	start     time.Time
	count     int64 // samples per channel so far
	began     bool
	next      uint32 // number of the next block
	pace      pace
	resampler resampler
	block     []byte // room for a block that is to be converted
	stats     Stats
}

// Stats are figures of a Timeline so far.
type Stats struct {
	Silence int64   // samples per channel that were filled in
	Dropped int64   // samples per channel that came too late, or twice
	Drift   float64 // of the far clock, as far as it is known: 1e-6 is 1 ppm
}

// NewTimeline returns a line of a format that begins at a time. Blocks of another number of
// channels are converted.
func NewTimeline(format capture.AudioFormat, start time.Time) *Timeline {
	return &Timeline{format: format, start: start}
}

// Count returns how many samples per channel there are so far.
func (t *Timeline) Count() int64 { return t.count }

// Stats returns the figures so far.
func (t *Timeline) Stats() Stats {
	s := t.stats
	s.Drift = t.pace.drift
	return s
}

// IndexOf returns which sample belongs to a time.
func (t *Timeline) IndexOf(at time.Time) int64 { return capture.AudioSamples(at.Sub(t.start)) }

// AppendBlock appends the samples that follow to dst: those of a block, after silence
// where some are missing. It takes at most limit samples of silence per channel, and
// where more are missing drops the block: its sender chooses the times.
func (t *Timeline) AppendBlock(dst []byte, f *capture.Frame, limit int64) []byte {
	size := f.Format.Audio.SampleSize()
	samples := f.Data[:len(f.Data)/size*size]
	missing, jumps := t.missingBefore(f)
	if missing > limit {
		t.stats.Dropped += int64(len(samples) / size)
		return dst
	}
	t.began, t.next = true, f.Sequence+1
	dst = t.appendSilence(dst, missing)
	late := t.lateness(f)
	if early := capture.AudioSamples(-late); jumps && early > 0 {
		early = min(early, int64(len(samples)/size))
		t.stats.Dropped += early
		samples = samples[int(early)*size:]
		if t.began = len(samples) > 0; !t.began {
			return dst // the next block may be of the past as well
		}
		late += capture.AudioDuration(early)
	}
	before := len(dst)
	dst = t.appendResampled(dst, samples, f.Format.Audio, t.pace.adjust(late))
	t.count += int64((len(dst) - before) / t.format.SampleSize())
	return dst
}

// appendResampled appends samples of a format at another rate, in the line's format.
func (t *Timeline) appendResampled(dst, samples []byte, from capture.AudioFormat, adjust float64) []byte {
	if from.Channels != t.resampler.channels { // another microphone
		t.resampler = resampler{channels: from.Channels, place: t.resampler.place}
	}
	if from == t.format {
		return t.resampler.appendTo(dst, samples, adjust)
	}
	t.block = t.resampler.appendTo(t.block[:0], samples, adjust)
	return Convert(dst, t.block, from, t.format)
}

// lateness returns by how much a block's time is later than the samples so far.
func (t *Timeline) lateness(f *capture.Frame) time.Duration {
	return f.Time.Sub(t.start) - capture.AudioDuration(t.count)
}

// missingBefore returns how many samples are missing before a block. It jumps where
// the block does not follow those before: then its time counts alone.
func (t *Timeline) missingBefore(f *capture.Frame) (samples int64, jumps bool) {
	late := t.lateness(f)
	lost := f.Sequence - t.next
	length := time.Duration(min(lost, maxLost)) * capture.AudioPeriod
	if !t.began || lost > maxLost || (late-length).Abs() > maxLate {
		return max(capture.AudioSamples(late), 0), true
	}
	// Lost blocks last as long as those that came, whatever the jitter of a single time.
	return int64(float64(lost)*capture.AudioBlock*(1+t.pace.drift) + 0.5), false
}

// AppendSilence appends silence up to a time, at most limit samples per channel: for a
// microphone that has gone. Blocks of that time which come later are dropped.
func (t *Timeline) AppendSilence(dst []byte, until time.Time, limit int64) []byte {
	return t.appendSilence(dst, min(max(t.IndexOf(until)-t.count, 0), limit))
}

func (t *Timeline) appendSilence(dst []byte, samples int64) []byte {
	if samples == 0 {
		return dst
	}
	t.resampler.reset()
	t.count += samples
	t.stats.Silence += samples
	n := len(dst) + int(samples)*t.format.SampleSize()
	for len(dst) < n {
		dst = append(dst, zeros[:min(len(zeros), n-len(dst))]...)
	}
	return dst
}

// zeros is silence.
var zeros [4096]byte
