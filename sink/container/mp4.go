package container

import (
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// mp4 is a Writer. Each flush makes a fragment: a moof box that describes the
// frames in the mdat box behind it; and one more of the audio, if there is some.
type mp4 struct {
	*file
	head   []byte // ftyp and moov
	stamps stamps
	length int64     // µs of recording in the file
	index  seekIndex // of fragments, by their times in µs
	gaps   []gap
	last   struct { // frame of the file
		at       int64 // µs
		duration int64 // where that is in the file
	}

	gap     string // text of the gap before the next frame
	notes   []byte // emsg boxes of the gaps in the fragment
	data    []byte // mdat box of the fragment being gathered
	samples []sample
	start   int64  // µs, its first frame
	end     int64  // µs, when its last frame is taken to end
	number  uint32 // of the fragment
	audio   mp4Audio
}

// mp4Audio is the second track. What is gathered is encoded only once, when it is
// flushed.
type mp4Audio struct {
	audioTrack
	encoder *flacEncoder
	written int64    // samples per channel in the file
	pending []byte   // samples that are not encoded yet
	data    []byte   // mdat box of the FLAC frames that wait to be written
	frames  []sample // of these
}

// audioSpan bounds the audio that is gathered where no frames come, by which fragments
// are flushed.
const audioSpan = 2 * capture.AudioRate

// sample is a frame in a fragment, or a FLAC frame.
type sample struct{ duration, size uint32 } // µs or samples of audio, bytes

func newMP4Index() seekIndex { return seekIndex{span: chunkSpan.Microseconds()} }

// newMP4 begins a file, which is the caller's to discard after an error.
func newMP4(f *file, o Options) (*mp4, error) {
	m := &mp4{file: f, head: mp4Head(o), stamps: newStamps(time.Microsecond), index: newMP4Index(), data: takeBuffer()}
	if m.audio.format = o.Audio; m.audio.exists() {
		var err error
		if m.audio.encoder, err = newFLACEncoder(o.Audio); err != nil {
			return nil, err
		}
	}
	return m, f.appendParts(m.head)
}

func (m *mp4) Write(f *capture.Frame, t time.Duration) error {
	at := m.stamps.unitsOf(t)
	if m.isFragmentFull(at, len(f.Data)) {
		if err := m.Flush(); err != nil {
			return err
		}
	}
	m.noteGap(at)
	passed := m.stamps.stepTo(at)
	if n := len(m.samples); n == 0 {
		m.start = at
		m.data = append(m.data, makeBox("mdat")...)
	} else {
		m.samples[n-1].duration = uint32(passed)
	}
	// How long the last frame lasts is unknown; the duration of the one before is a
	// guess.
	guess := min(passed, chunkSpan.Microseconds())
	m.samples = append(m.samples, sample{uint32(guess), uint32(len(f.Data))})
	m.end = at + guess
	m.data = append(m.data, f.Data...)
	return nil
}

// isFragmentFull reports whether a frame of this time (µs) and size (bytes) belongs to
// the next fragment.
func (m *mp4) isFragmentFull(at int64, size int) bool {
	return len(m.samples) > 0 && (at-m.start >= chunkSpan.Microseconds() || len(m.data)+size > chunkSize)
}

func (m *mp4) WriteAudio(samples []byte) error {
	if m.audio.samples-m.audio.written >= audioSpan {
		if err := m.Flush(); err != nil {
			return err
		}
	}
	for block := range m.audio.blocksOf(samples) {
		m.audio.pending = append(m.audio.pending, block...)
		m.audio.add(len(block))
	}
	return nil
}

// encodePending makes FLAC frames of what is pending. A rest that is too small for one
// stays, unless it is the last.
func (a *mp4Audio) encodePending(last bool) error {
	for n := a.nextFrame(last); n > 0; n = a.nextFrame(last) {
		data, err := a.encoder.encode(a.pending[:n])
		if err != nil {
			return err
		}
		if len(a.data) == 0 {
			a.data = append(a.data, makeBox("mdat")...)
		}
		a.data = append(a.data, data...)
		a.frames = append(a.frames, sample{uint32(n / a.format.SampleSize()), uint32(len(data))})
		a.pending = append(a.pending[:0], a.pending[n:]...)
	}
	return nil
}

// nextFrame returns how many bytes of what is pending make the next FLAC frame.
func (a *mp4Audio) nextFrame(last bool) int {
	smallest, largest := smallestFLAC*a.format.SampleSize(), largestFLAC*a.format.SampleSize()
	n := min(len(a.pending), largest)
	switch rest := len(a.pending) - n; {
	case n < smallest && !last:
		return 0
	case rest > 0 && rest < smallest:
		return n - smallest // for the next one
	}
	return n
}

// fragment returns the boxes of the audio that was encoded.
func (a *mp4Audio) fragment(number uint32) (moof, mdat []byte) {
	if len(a.frames) == 0 {
		return nil, nil
	}
	binary.BigEndian.PutUint32(a.data, uint32(len(a.data)))
	return movieFragment(audioNumber, number, a.written, a.frames), a.data
}

// noteWritten notes that the fragment is in the file.
func (a *mp4Audio) noteWritten() {
	for _, f := range a.frames {
		a.written += int64(f.duration)
	}
	a.data, a.frames = a.data[:0], a.frames[:0]
}

func (m *mp4) Gap(lost capture.Lost, text string) error {
	m.gap = describeGap(m.gap, lost, text)
	return nil
}

// noteGap keeps a gap that ends at this time (µs) safe in an event message, of which
// the end of the recording makes a chapter.
func (m *mp4) noteGap(at int64) {
	if m.gap == "" || len(m.gaps) == maxGaps {
		return
	}
	g := gap{at, m.gap}
	m.gaps = append(m.gaps, g)
	m.notes = append(m.notes, eventMessage(g, len(m.gaps))...)
	m.gap = ""
}

func (m *mp4) Size() int64 {
	return m.size + int64(len(m.data)+len(m.notes)+len(m.audio.pending)+len(m.audio.data))
}

func (m *mp4) Flush() error { return m.flushTracks(false) }

// flushTracks writes the fragments that were gathered; last is for the end of the
// recording.
func (m *mp4) flushTracks(last bool) error {
	if err := m.audio.encodePending(last); err != nil {
		return err
	}
	// Before the fragment is appended: where this fails, Flush can be repeated as a
	// whole.
	if err := m.correctDuration(); err != nil {
		return err
	}
	var moof []byte
	number := m.number
	if len(m.samples) > 0 {
		// data begins with the head of its mdat box, whose size is known now.
		binary.BigEndian.PutUint32(m.data, uint32(len(m.data)))
		number++
		moof = movieFragment(trackNumber, number, m.start, m.samples)
	}
	audio, frames := m.audio.fragment(number + 1)
	at := m.size + int64(len(m.notes))
	if err := m.appendParts(m.notes, moof, m.data, audio, frames); err != nil {
		return err
	}
	m.noteVideo(at, len(moof))
	if m.number = number; len(frames) > 0 {
		m.number++
	}
	m.audio.noteWritten()
	return nil
}

// noteVideo notes that a fragment of frames is in the file, with a moof box of so many
// bytes at a place; of none there is nothing to note.
func (m *mp4) noteVideo(at int64, moof int) {
	if len(m.samples) == 0 {
		return
	}
	m.index.addFragment(fragment{m.start, at})
	m.length = m.end
	// The run of samples ends the moof box, and the last entry begins with its duration.
	m.last.at, m.last.duration = m.stamps.last, at+int64(moof-sampleSize)
	m.notes, m.data, m.samples = m.notes[:0], m.data[:0], m.samples[:0]
}

// correctDuration writes how long the last frame of the fragment before lasted.
// FFmpeg goes by the start of each fragment, but GStreamer adds durations up.
func (m *mp4) correctDuration() error {
	if m.last.duration == 0 || len(m.samples) == 0 || !m.seekable {
		return nil
	}
	duration := min(m.start-m.last.at, math.MaxUint32)
	_, err := m.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(duration)), m.last.duration)
	return err
}

func (m *mp4) Sync() error { return cmp.Or(m.Flush(), m.syncWithName()) }

func (m *mp4) Close() error {
	defer giveBuffer(&m.data)
	err := m.flushTracks(true)
	if m.length == 0 && m.audio.written == 0 {
		return cmp.Or(err, m.discardFile())
	}
	return cmp.Or(err, m.finishFile(), m.syncWithName(), m.file.Close())
}

// finishFile writes the index, and the durations and chapters into the moov box.
// Without room for the index the file is whole, but players have none.
func (m *mp4) finishFile() error {
	if !m.seekable {
		return nil
	}
	// On the disk before the moov box counts on it, as in matroska.finishFile.
	err := cmp.Or(m.appendParts(randomAccess(m.index.entries)), m.syncWithName())
	finishHead(m.head, m.length, m.audio.written, m.gaps)
	_, headErr := m.WriteAt(m.head, 0)
	return cmp.Or(err, headErr)
}
