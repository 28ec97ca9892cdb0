package container

import (
	"cmp"
	"encoding/binary"
	"time"

	"github.com/at-wat/ebml-go"

	"github.com/tbcam/tbcam/capture"
)

const (
	// chunkSpan and chunkSize bound what is gathered in memory: a time, and bytes
	// of more than one frame.
	chunkSpan = time.Second
	chunkSize = 16 << 20
)

// matroska is a Writer.
//
// Clusters are put together here and not by ebml-go, which would copy every
// frame four times. Each comes to the file with its size, by one write.
type matroska struct {
	*file
	head   header
	stamps stamps
	length int64 // ms of recording in the file
	index  seekIndex
	gaps   []gap

	gap     string // text of the gap before the next frame
	cluster []byte // the one being gathered
	notes   []byte // Tags of the gaps in it
	start   int64  // ms, its first block
	seek    int64  // ms, its first frame; -1 for none
	end     int64  // ms, when the last frame is taken to end
	audio   audioTrack
}

// newMatroska begins a file, which is the caller's to discard after an error.
func newMatroska(f *file, o Options) (*matroska, error) {
	m := &matroska{file: f, head: newHeader(o), stamps: newStamps(time.Millisecond), index: newMatroskaIndex(), cluster: takeBuffer()}
	m.audio.format = o.Audio
	return m, f.appendParts(m.head.encodeHeader(ending{}))
}

func (m *matroska) Write(f *capture.Frame, t time.Duration) error {
	at := m.stamps.unitsOf(t)
	if m.isClusterFull(at, len(f.Data)) {
		if err := m.Flush(); err != nil {
			return err
		}
	}
	if len(m.cluster) == 0 {
		m.beginCluster(at)
	}
	m.noteGap(at)
	m.end = m.endOf(at)
	if m.seek < 0 {
		m.seek = at
	}
	m.appendBlock(trackNumber, at, f.Data)
	return nil
}

func (m *matroska) WriteAudio(samples []byte) error {
	at := m.audio.milliseconds()
	if m.isClusterFull(at, len(samples)) {
		if err := m.Flush(); err != nil {
			return err
		}
	}
	for block := range m.audio.blocksOf(samples) {
		at = m.audio.milliseconds()
		if len(m.cluster) == 0 {
			m.beginCluster(at)
		}
		m.appendBlock(audioNumber, at, block)
		m.audio.add(len(block))
	}
	return nil
}

// appendBlock appends a SimpleBlock: track, time since the cluster's, flags (a key
// frame), and data.
func (m *matroska) appendBlock(track byte, at int64, data []byte) {
	m.cluster = append(m.cluster, ebml.ElementSimpleBlock.Bytes()...)
	m.cluster = appendSize(m.cluster, int64(4+len(data)))
	m.cluster = append(m.cluster, 0x80|track)
	m.cluster = binary.BigEndian.AppendUint16(m.cluster, uint16(at-m.start))
	m.cluster = append(m.cluster, 0x80)
	m.cluster = append(m.cluster, data...)
}

// endOf takes the time of a frame, and returns until when (ms) it lasts. Of the
// last one that is unknown; the duration of the one before is a guess.
func (m *matroska) endOf(at int64) int64 {
	return at + min(m.stamps.stepTo(at), chunkSpan.Milliseconds())
}

// endOfTracks returns when (ms) the longer of the tracks ends.
func (m *matroska) endOfTracks() int64 { return max(m.end, m.audio.milliseconds()) }

// isClusterFull reports whether a block of this time (ms) and size (bytes) belongs to
// the next cluster. The span keeps its blocks' times within their 16 bits, too. One track
// may be a bit behind the other.
func (m *matroska) isClusterFull(at int64, size int) bool {
	span := chunkSpan.Milliseconds()
	return len(m.cluster) > 0 && (at-m.start >= span || m.start-at > span || len(m.cluster)+size > chunkSize)
}

func (m *matroska) beginCluster(at int64) {
	m.start, m.seek = at, -1
	m.cluster = append(m.cluster, ebml.ElementCluster.Bytes()...)
	m.cluster = appendSize(m.cluster, unknownSize)
	m.cluster = append(m.cluster, ebml.ElementTimecode.Bytes()...)
	m.cluster = append(m.cluster, 0x88)
	m.cluster = binary.BigEndian.AppendUint64(m.cluster, uint64(at))
}

func (m *matroska) Gap(lost capture.Lost, text string) error {
	m.gap = describeGap(m.gap, lost, text)
	return nil
}

// noteGap makes a chapter of a gap that ends at this time (ms). There is one
// element for all Chapters, which is written at the end; until then a tag of the
// chapter, which is read by Repair, keeps it safe.
func (m *matroska) noteGap(at int64) {
	if m.gap == "" || len(m.gaps) == maxGaps {
		return
	}
	g := gap{at, m.gap}
	m.gaps = append(m.gaps, g)
	m.notes = append(m.notes, gapTags(g)...)
	m.gap = ""
}

func (m *matroska) Size() int64 { return m.size + int64(len(m.cluster)+len(m.notes)) }

func (m *matroska) Flush() error {
	if len(m.cluster) == 0 {
		return nil
	}
	// The cluster began with an unknown size, in the eight bytes that take any.
	const idSize, sizeSize = 4, 8
	appendSize(m.cluster[:idSize], int64(len(m.cluster)-idSize-sizeSize)) // in place
	at := m.size
	if err := m.appendParts(m.cluster, m.notes); err != nil {
		return err
	}
	if m.seek >= 0 {
		m.index.addFragment(fragment{m.seek, at})
	}
	m.length = m.endOfTracks()
	m.cluster, m.notes = m.cluster[:0], m.notes[:0]
	return nil
}

// newMatroskaIndex returns an index of clusters, by their times in ms.
func newMatroskaIndex() seekIndex { return seekIndex{span: chunkSpan.Milliseconds()} }

// encodeCues returns the index as an element.
func (m *matroska) encodeCues() []byte {
	points := make([]cuePoint, 0, len(m.index.entries))
	for _, e := range m.index.entries {
		points = append(points, cuePoint{
			CueTime: uint64(e.start),
			CueTrackPositions: cueTrackPositions{
				CueTrack:           trackNumber,
				CueClusterPosition: uint64(e.offset - m.head.segmentStart()),
			},
		})
	}
	return marshalElements(&struct{ Cues cues }{cues{points}})
}

func (m *matroska) Sync() error { return cmp.Or(m.Flush(), m.syncWithName()) }

func (m *matroska) Close() error {
	defer giveBuffer(&m.cluster)
	err := m.Flush()
	if m.length == 0 {
		return cmp.Or(err, m.discardFile())
	}
	return cmp.Or(err, m.finishFile(), m.syncWithName(), m.file.Close())
}

// finishFile writes Chapters and Cues, and the header with all that is known now.
// Without room for these the file is whole, but players have no index.
func (m *matroska) finishFile() error {
	if !m.seekable {
		return nil
	}
	e := ending{duration: m.length}
	chapters := chaptersOf(m.gaps)
	if len(chapters) > 0 {
		e.chapters = m.size - m.head.segmentStart()
	}
	e.cues = m.size + int64(len(chapters)) - m.head.segmentStart()
	err := m.appendParts(chapters, m.encodeCues())
	if err != nil {
		e.chapters, e.cues = 0, 0
	}
	// On the disk before the header refers to them: a crash in between leaves a file
	// without an index, never one with a wrong one.
	err = cmp.Or(err, m.syncWithName())
	e.size = m.size - m.head.segmentStart()
	_, headErr := m.WriteAt(m.head.encodeHeader(e), 0)
	return cmp.Or(err, headErr)
}
