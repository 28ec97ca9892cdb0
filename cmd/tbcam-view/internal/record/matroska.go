package record

import (
	"cmp"
	"encoding/binary"
	"os"
	"time"

	"github.com/at-wat/ebml-go"

	"github.com/tbcam/tbcam/capture"
)

const (
	// clusterSpan is the most that a killed process loses.
	clusterSpan = time.Second
	// clusterSize bounds the memory for a cluster that has more than one picture.
	clusterSize = 16 << 20
)

// matroska is one file, from its first frame on. Up to size it is whole at any
// time: a cluster comes to it with its size, by one write.
//
// The clusters are put together here and not by ebml-go, which would copy every
// picture four times. It is not safe for concurrent use.
type matroska struct {
	f      *os.File
	format capture.Format
	head   header
	size   int64 // bytes of the file that are whole
	length int64 // ms of recording in them
	cues   []cuePoint

	cluster []byte // the one being gathered
	frames  int    // in it
	start   int64  // ms, its first frame
	last    int64  // ms, its last frame
	end     int64  // ms, when the last frame is taken to end
}

// newMatroska begins a file and takes f over, unless it returns an error.
func newMatroska(f *os.File, format capture.Format, start time.Time, o Options) (*matroska, error) {
	m := &matroska{f: f, format: format, head: newHeader(format, start, o)}
	n, err := f.WriteAt(m.head.bytes(ending{}), 0)
	if err != nil {
		return nil, err
	}
	m.size = int64(n)
	return m, nil
}

// full reports whether a picture of this time (ms) and size (bytes) belongs to
// the next cluster. The span keeps its blocks' times within their 16 bits, too.
func (m *matroska) full(at int64, size int) bool {
	return m.frames > 0 && (at-m.start >= clusterSpan.Milliseconds() || len(m.cluster)+size > clusterSize)
}

// add copies a picture into the cluster. Its time is in ms since the first one.
func (m *matroska) add(at int64, picture []byte) {
	if m.frames == 0 {
		m.begin(at)
	}
	m.frames++
	// How long the last frame lasts nobody knows; like the one before is a guess.
	m.end = at + min(max(at-m.last, 1), clusterSpan.Milliseconds())
	m.last = at
	// SimpleBlock: track, time since the cluster's, flags (a key frame).
	m.cluster = append(m.cluster, ebml.ElementSimpleBlock.Bytes()...)
	m.cluster = appendSize(m.cluster, int64(4+len(picture)))
	m.cluster = append(m.cluster, 0x80|trackNumber)
	m.cluster = binary.BigEndian.AppendUint16(m.cluster, uint16(at-m.start))
	m.cluster = append(m.cluster, 0x80)
	m.cluster = append(m.cluster, picture...)
}

func (m *matroska) begin(at int64) {
	m.start = at
	m.cluster = append(m.cluster, ebml.ElementCluster.Bytes()...)
	m.cluster = appendSize(m.cluster, unknownSize)
	m.cluster = append(m.cluster, ebml.ElementTimecode.Bytes()...)
	m.cluster = append(m.cluster, 0x88)
	m.cluster = binary.BigEndian.AppendUint64(m.cluster, uint64(at))
}

// flush writes the cluster, if there is one. After an error the cluster is lost
// and the file is as before.
func (m *matroska) flush() error {
	if m.frames == 0 {
		return nil
	}
	const idSize, sizeSize = 4, 8
	appendSize(m.cluster[:idSize], int64(len(m.cluster)-idSize-sizeSize)) // in place
	_, err := m.f.WriteAt(m.cluster, m.size)
	if err != nil {
		m.cut()
	} else {
		m.index()
		m.size += int64(len(m.cluster))
		m.length = m.end
	}
	m.cluster, m.frames = m.cluster[:0], 0
	return err
}

// cut takes away what a failed write has left behind the whole part. Where that
// fails as well, players skip it as they do after a crash.
func (m *matroska) cut() { _ = m.f.Truncate(m.size) }

// index notes where the cluster begins, but no more often than once per span.
func (m *matroska) index() {
	if n := len(m.cues); n > 0 && m.start-int64(m.cues[n-1].CueTime) < clusterSpan.Milliseconds() {
		return
	}
	m.cues = append(m.cues, cuePoint{
		CueTime: uint64(m.start),
		CueTrackPositions: cueTrackPositions{
			CueTrack:           trackNumber,
			CueClusterPosition: uint64(m.size - m.head.segment()),
		},
	})
}

// close writes what is not written yet, makes the file seekable, and has it on
// the disk. It returns the first error, and closes the file in any case; one
// without a picture is removed.
func (m *matroska) close() error {
	err := m.flush()
	if m.length == 0 {
		return cmp.Or(err, discard(m.f))
	}
	return cmp.Or(err, m.finalise(), m.f.Sync(), m.f.Close())
}

// finalise writes the Cues, and the header with all that is known now. Without
// room for the Cues the file is whole, but players have no index.
func (m *matroska) finalise() error {
	e := ending{cues: m.size - m.head.segment(), duration: m.length}
	n, err := m.f.WriteAt(marshal(&struct{ Cues cues }{cues{m.cues}}), m.size)
	if err != nil {
		m.cut()
		n, e.cues = 0, 0
	}
	e.size = m.size + int64(n) - m.head.segment()
	_, headErr := m.f.WriteAt(m.head.bytes(e), 0)
	return cmp.Or(err, headErr)
}

// discard closes a file that has nothing in it, and removes it.
func discard(f *os.File) error { return cmp.Or(f.Close(), os.Remove(f.Name())) }
