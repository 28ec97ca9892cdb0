package container

import (
	"bytes"
	"encoding/binary"
	"io"
	"time"

	"github.com/at-wat/ebml-go"

	"github.com/tbcam/tbcam/capture"
)

// Limits of what is read into memory from a file, which may be anybody's.
const (
	maxHead = 1 << 20 // bytes before the first frame
	maxNote = 4 << 10 // bytes of the text of a gap
)

// matroskaSurvey reads a file that newMatroska has begun.
type matroskaSurvey struct {
	*survey
	f   storage
	end int64 // of what is read
	m   *matroska
}

func surveyMatroska(f storage, end int64) (*survey, error) {
	head, at, err := readHeader(f, end)
	if err != nil {
		return nil, err
	}
	s := newSurvey(Matroska, f)
	s.size, s.known = at, at
	v := &matroskaSurvey{s, f, end, &matroska{file: s.file, head: head, stamps: newStamps(time.Millisecond), index: newMatroskaIndex()}}
	v.m.audio.format = head.audioFormat()
	for ok := true; ok; {
		if at, ok = v.takeElement(at); !ok {
			at, ok = v.goOn()
		}
	}
	if !head.holdsJPEG() {
		s.tail = nil // zeros are a frame, too
	}
	s.complete = v.m.finishFile
	s.report.Duration = time.Duration(v.m.length) * time.Millisecond
	return s, nil
}

// takeElement takes what is at a place outside of clusters. It returns where the next
// one is, and whether to go on.
func (v *matroskaSurvey) takeElement(at int64) (next int64, ok bool) {
	e, ok := elementAt(v.f, at, v.end)
	if !ok {
		return at, false
	}
	if e.id == idCluster && e.head == 4+8 {
		return v.takeCluster(at, e)
	}
	next = at + e.head + e.size
	if next > v.end {
		return at, false
	}
	switch e.id {
	case idVoid:
		if at == v.size {
			v.size = next
		}
	case idTags:
		if at == v.size { // not behind an index
			v.takeTags(at+e.head, e.size)
			v.size = next
		}
	case idChapters, idCues:
	default:
		return at, false
	}
	v.known = next
	return next, true
}

// goOn finds the next cluster behind a damaged place, which becomes a Void element.
// It returns where the element behind that cluster is, if there is one.
func (v *matroskaSurvey) goOn() (next int64, ok bool) {
	const smallest = 2
	from, units := v.size, v.units
	if v.known > from { // that is the index
		return 0, false
	}
	cluster := append(bytes.Clone(ebml.ElementCluster.Bytes()), 1) // with a size of eight bytes
	for at := from + smallest; ; at++ {
		at, ok = indexOf(v.f, cluster, at, min(v.end, from+maxCut))
		if !ok {
			v.size = from
			return 0, false
		}
		v.size = at
		e, _ := elementAt(v.f, at, v.end)
		if next, _ = v.takeCluster(at, e); v.units > units {
			v.passOver(from, at, voidHead(at-from))
			return next, true
		}
	}
}

// voidHead returns the beginning of a Void element of that many bytes in total.
func voidHead(size int64) []byte {
	if size <= 128 {
		return voidOf(int(size))[:2]
	}
	return appendSize(bytes.Clone(ebml.ElementVoid.Bytes()), size-1-8)
}

// takeCluster takes a cluster, or what there is of its frames.
func (v *matroskaSurvey) takeCluster(at int64, e element) (next int64, ok bool) {
	var b [10]byte
	content := at + e.head
	if n, _ := v.f.ReadAt(b[:], content); n < len(b) || at != v.size {
		return at, false
	}
	start := int64(binary.BigEndian.Uint64(b[2:]))
	// As beginCluster writes it: Timecode with eight bytes.
	if b[0] != byte(idTimecode) || b[1] != 0x88 || start < 0 || start > maxTime {
		return at, false
	}
	first := content + int64(len(b))
	next, v.m.seek = first, -1
	end := min(content+e.size, v.end)
	for ok := true; ok && next < end; {
		next, ok = v.takeBlock(next, end, start)
	}
	if next == first {
		return at, false
	}
	if v.m.seek >= 0 {
		v.m.index.addFragment(fragment{v.m.seek, at})
	}
	v.m.length = v.m.endOfTracks()
	if next != content+e.size {
		// A block is not whole, or the size was never written: the cluster ends
		// behind the last whole block.
		v.notePatch(at+4, appendSize(nil, next-content))
		return next, false
	}
	return next, true
}

// maxTime bounds times in milliseconds, so that sums do not overflow.
const maxTime = 1 << 48

// takeBlock takes a frame or audio that ends before end, in a cluster of a time (ms).
func (v *matroskaSurvey) takeBlock(at, end, cluster int64) (next int64, ok bool) {
	const head = 1 + 8
	var b [head + 4]byte
	if n, _ := v.f.ReadAt(b[:], at); n < len(b) {
		return at, false
	}
	e, ok := parseElement(b[:])
	next = at + e.head + e.size
	if !ok || e.id != idSimpleBlock || e.head != head || e.size < 4 || next > end {
		return at, false
	}
	p := span{start: at, data: at + int64(len(b)), end: next}
	if b[head] == 0x80|audioNumber {
		return next, v.takeAudio(p)
	}
	time := cluster + int64(int16(binary.BigEndian.Uint16(b[head+1:])))
	if v.m.seek < 0 {
		v.m.seek = max(time, 0)
	}
	v.m.end = v.m.endOf(time)
	v.addFrame(p)
	return next, true
}

// takeAudio takes a block of audio, and reports whether it can be one.
func (v *matroskaSurvey) takeAudio(p span) bool {
	if !v.m.audio.exists() || p.end == p.data || (p.end-p.data)%int64(v.m.audio.format.SampleSize()) != 0 {
		return false
	}
	v.m.audio.add(int(p.end - p.data))
	v.addUnit(p)
	return true
}

// takeTags takes the text of a gap.
func (v *matroskaSurvey) takeTags(at, size int64) {
	if size > maxNote || len(v.m.gaps) == maxGaps {
		return
	}
	b := make([]byte, size)
	if _, err := v.f.ReadAt(b, at); err != nil {
		return
	}
	uid := findElement(b, idTag, idTargets, idChapterUID)
	text := findElement(b, idTag, idSimpleTag, idTagString)
	if ms := bigEndian(uid[:min(len(uid), 8)]) - 1; ms < maxTime {
		v.m.gaps = append(v.m.gaps, gap{int64(ms), string(text[:min(len(text), maxGapText)])})
	}
}

// readHeader returns the header of a file, and where it ends.
func readHeader(f io.ReaderAt, end int64) (h header, at int64, err error) {
	b := make([]byte, min(end, maxHead))
	if _, err := f.ReadAt(b, 0); err != nil {
		return header{}, 0, err
	}
	parts := map[uint32]*[]byte{idEBML: &h.ebml, idInfo: &h.info, idTracks: &h.tracks, idTags: &h.tags, idSeekHead: new([]byte), idVoid: new([]byte)}
	for {
		e, ok := parseElement(b[at:])
		if !ok {
			return header{}, 0, ErrNotRecording
		}
		if e.id == idCluster {
			break
		}
		if e.id == idSegment {
			at += e.head
			continue
		}
		next := at + e.head + e.size
		if parts[e.id] == nil || next > int64(len(b)) {
			return header{}, 0, ErrNotRecording
		}
		*parts[e.id] = b[at:next]
		at = next
	}
	if !h.isComplete() || int64(len(h.encodeHeader(ending{}))) != at {
		return header{}, 0, ErrNotRecording
	}
	return h, at, nil
}

// isComplete reports whether all parts are there, with the room for a duration.
func (h header) isComplete() bool {
	if len(h.ebml) == 0 || len(h.tracks) == 0 || len(h.tags) == 0 || len(h.info) < durationSize {
		return false
	}
	e, ok := parseElement(h.info[len(h.info)-durationSize:])
	return ok && (e.id == idVoid || e.id == idDuration) && e.head+e.size == durationSize
}

// audioFormat returns the format of the second track, zero for none.
func (h header) audioFormat() capture.AudioFormat {
	list := findElement(h.tracks, idTracks)
	if e, ok := parseElement(list); ok && e.id == idTrack && e.size <= int64(len(list))-e.head {
		list = list[e.head+e.size:]
	}
	a := capture.AudioFormat{Rate: capture.AudioRate, Channels: int(bigEndian(findElement(list, idTrack, idAudio, idChannels)))}
	if a.Check() != nil {
		return capture.AudioFormat{}
	}
	return a
}

// holdsJPEG reports whether the frames are JPEGs.
func (h header) holdsJPEG() bool {
	return string(findElement(h.tracks, idTracks, idTrack, idCodec)) == codecJPEG
}
