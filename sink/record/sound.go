package record

import (
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/audio"
	"github.com/tbcam/tbcam/sink/container"
)

const (
	// audioLate is how long a frame's audio may come later than it; then silence is in its
	// place.
	audioLate = time.Second
	// maxEarly bounds the blocks that are kept until the frame has come with which a file
	// begins: a second.
	maxEarly = 100
	// maxSilence bounds the silence that is made at once, in samples per channel.
	maxSilence = 10 * capture.AudioRate
)

// soundtrack is the audio on its way into files. One line of samples goes through all
// files that follow each other, so that none is lost or comes twice where they are cut.
// Accessed only by writeLoop.
type soundtrack struct {
	format  capture.AudioFormat // zero where no audio is recorded
	line    *audio.Timeline     // nil before the first frame
	early   []*capture.Frame    // blocks that came before it
	samples []byte              // that are in no file yet
	first   int64               // where on the line these begin
	from    int64               // where on the line the file begins
	past    audio.Stats         // of lines before
}

// beginFile begins the audio of a file whose first frame has that time.
func (s *soundtrack) beginFile(start time.Time) {
	if s.format.Channels == 0 {
		return
	}
	if s.line == nil {
		s.line = audio.NewTimeline(s.format, start)
		s.first = 0
		early := s.early
		s.early = nil
		for _, f := range early {
			s.takeBlock(f)
			f.Release()
		}
	}
	s.from = s.line.IndexOf(start)
}

// takeBlock takes the samples of a block, which stays the caller's.
func (s *soundtrack) takeBlock(f *capture.Frame) {
	if s.line != nil {
		s.samples = s.line.AppendBlock(s.samples, f, maxSilence)
		return
	}
	if len(s.early) == maxEarly {
		s.early[0].Release()
		s.early = append(s.early[:0], s.early[1:]...)
	}
	s.early = append(s.early, f.Retain())
}

// writeUntil writes the samples of before a time into a file. After an error none of them
// is lost.
func (s *soundtrack) writeUntil(w container.Writer, end time.Time) error {
	if s.line == nil {
		return nil
	}
	s.samples = s.line.AppendSilence(s.samples, end.Add(-audioLate), maxSilence)
	return s.writeSamples(w, s.line.IndexOf(end))
}

// writeExcess writes samples for which no frame has come, and may not.
func (s *soundtrack) writeExcess(w container.Writer) error {
	if s.line == nil || s.line.Count()-s.first < 2*capture.AudioRate {
		return nil
	}
	return s.writeSamples(w, s.line.Count()-capture.AudioRate)
}

// writeRest writes all samples that there are.
func (s *soundtrack) writeRest(w container.Writer) error {
	if s.line == nil {
		return nil
	}
	return s.writeSamples(w, s.line.Count())
}

// writeSamples writes the samples of before a place on the line. Those of before the
// file's first frame came too late for the file before.
func (s *soundtrack) writeSamples(w container.Writer, end int64) error {
	s.dropSamples(min(s.from, end))
	n := min(end, s.line.Count()) - s.first
	if n <= 0 {
		return nil
	}
	if err := w.WriteAudio(s.samples[:n*int64(s.format.SampleSize())]); err != nil {
		return err
	}
	s.dropSamples(s.first + n)
	return nil
}

// dropSamples forgets the samples of before a place on the line.
func (s *soundtrack) dropSamples(end int64) {
	if n := min(end, s.line.Count()) - s.first; n > 0 {
		s.samples = append(s.samples[:0], s.samples[n*int64(s.format.SampleSize()):]...)
		s.first += n
	}
}

// reset forgets all, where no file follows, or one whose blocks come again.
func (s *soundtrack) reset() {
	for _, f := range s.early {
		f.Release()
	}
	s.past = s.stats()
	s.line, s.early, s.samples = nil, nil, s.samples[:0]
}

// stats returns the figures so far.
func (s *soundtrack) stats() audio.Stats {
	if s.line == nil {
		return s.past
	}
	stats := s.line.Stats()
	stats.Silence += s.past.Silence
	stats.Dropped += s.past.Dropped
	return stats
}
