package container

import (
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// mp4 is a Writer. Each flush makes a fragment: a moof box that describes the
// frames in the mdat box behind it.
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
}

// sample is a frame in a fragment.
type sample struct{ duration, size uint32 } // µs, bytes

func newMP4Index() seekIndex { return seekIndex{span: chunkSpan.Microseconds()} }

// newMP4 begins a file, which is the caller's to discard after an error.
func newMP4(f *file, o Options) (*mp4, error) {
	m := &mp4{file: f, head: mp4Head(o.Format, o.Tags), stamps: newStamps(time.Microsecond), index: newMP4Index(), data: takeBuffer()}
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

func (m *mp4) Size() int64 { return m.size + int64(len(m.data)+len(m.notes)) }

func (m *mp4) Flush() error {
	if len(m.samples) == 0 {
		return nil
	}
	// data begins with the head of its mdat box, whose size is known now.
	binary.BigEndian.PutUint32(m.data, uint32(len(m.data)))
	moof := movieFragment(m.number+1, m.start, m.samples)
	// Before the fragment is appended: where this fails, Flush can be repeated as a
	// whole.
	if err := m.correctDuration(); err != nil {
		return err
	}
	at := m.size + int64(len(m.notes))
	if err := m.appendParts(m.notes, moof, m.data); err != nil {
		return err
	}
	m.number++
	m.index.addFragment(fragment{m.start, at})
	m.length = m.end
	// The run of samples ends the moof box, and the last entry begins with its duration.
	m.last.at, m.last.duration = m.stamps.last, at+int64(len(moof)-sampleSize)
	m.notes, m.data, m.samples = m.notes[:0], m.data[:0], m.samples[:0]
	return nil
}

// correctDuration writes how long the last frame of the fragment before lasted.
// FFmpeg goes by the start of each fragment, but GStreamer adds durations up.
func (m *mp4) correctDuration() error {
	if m.last.duration == 0 || !m.seekable {
		return nil
	}
	duration := min(m.start-m.last.at, math.MaxUint32)
	_, err := m.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(duration)), m.last.duration)
	return err
}

func (m *mp4) Sync() error { return cmp.Or(m.Flush(), m.syncWithName()) }

func (m *mp4) Close() error {
	defer giveBuffer(&m.data)
	err := m.Flush()
	if m.length == 0 {
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
	finishHead(m.head, m.length, m.gaps)
	_, headErr := m.WriteAt(m.head, 0)
	return cmp.Or(err, headErr)
}
