package container

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// aviSurvey reads a file that newAVI has begun.
type aviSurvey struct {
	*survey
	f   storage
	end int64 // of what is read
	a   *avi
}

func surveyAVI(f storage, end int64) (*survey, error) {
	head, err := readAVIHead(f, end)
	if err != nil {
		return nil, err
	}
	at := int64(len(head))
	s := newSurvey(AVI, f)
	s.size, s.known = at, at
	a := &avi{file: s.file, head: head, largest: int(binary.LittleEndian.Uint32(head[largestAt:]))}
	a.audio.format = audioOfAVI(head)
	a.parts = []part{{movi: at - listHead, moviEnd: at, riffEnd: at}}
	v := &aviSurvey{s, f, end, a}
	for ok := true; ok; {
		if at, ok = v.takeChunk(at); !ok {
			at, ok = v.goOn()
		}
		if len(a.index)+len(a.audio.index) > maxFrames {
			return nil, ErrDamaged
		}
	}
	s.complete = v.finishLastPart
	s.report.Duration = v.totalDuration()
	return s, nil
}

// readAVIHead returns what is before the first chunk of frames.
func readAVIHead(f io.ReaderAt, end int64) ([]byte, error) {
	b := make([]byte, min(end, maxHead))
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	if len(b) < allAt+248+chunkHead {
		return nil, ErrNotRecording
	}
	// What comes after the headers of the audio, if there are some.
	dmlh := allAt - chunkHead
	if hasAudio(b) {
		dmlh += audioListSize
	}
	info := dmlh + chunkHead + 248
	if len(b) < info+chunkHead {
		return nil, ErrNotRecording
	}
	for at, id := range map[int]string{
		24: "avih", 100: "strh", 164: "strf", superAt - 32: "indx", dmlh: "dmlh", info: "LIST",
	} {
		if string(b[at:at+4]) != id {
			return nil, ErrNotRecording
		}
	}
	size := int64(binary.LittleEndian.Uint32(b[info+4:]))
	movi := int64(info+chunkHead) + size + size%2
	if movi+listHead > int64(len(b)) || string(b[movi:movi+4]) != "LIST" || string(b[movi+8:movi+12]) != "movi" {
		return nil, ErrNotRecording
	}
	return b[:movi+listHead], nil
}

// audioOfAVI returns the format of the second stream, zero for none.
func audioOfAVI(head []byte) capture.AudioFormat {
	if !hasAudio(head) {
		return capture.AudioFormat{}
	}
	align := int(binary.LittleEndian.Uint16(head[audioAlignAt:]))
	a := capture.AudioFormat{Rate: capture.AudioRate, Channels: align / sampleBytes}
	if a.Check() != nil || a.SampleSize() != align {
		return capture.AudioFormat{}
	}
	return a
}

// takeChunk takes what is at a place behind the head. It returns where the next chunk
// is, and whether to go on.
func (v *aviSurvey) takeChunk(at int64) (next int64, ok bool) {
	var b [chunkHead]byte
	if _, err := v.f.ReadAt(b[:], at); err != nil {
		return at, false
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	id, end := string(b[:4]), at+chunkHead+size
	next = end + size%2
	p := v.a.lastPart()
	switch {
	case id == "RIFF":
		return v.beginPart(at)
	case end > v.end:
		return at, false
	case id == frameID && p.ix == 0 && end-p.riff < 1<<32:
		v.takeFrame(at, size)
	case id == indexID && p.ix == 0:
		p.ix, p.ixEnd, p.moviEnd, p.riffEnd = at, end, end, end
		p.frames = v.countIndexed()
	case id == audioID && p.ix == 0 && end-p.riff < 1<<32 && v.holdsSamples(size):
		v.takeAudio(at, size)
	case id == audioIx && p.ix > 0 && p.audioIx == 0 && v.a.audio.exists():
		p.audioIx, p.audioIxEnd, p.moviEnd, p.riffEnd = at, end, end, end
	case id == junkID && at == v.size:
		v.size, p.moviEnd, p.riffEnd = next, next, next
	case (id == "idx1" || id == junkID) && p.ix > 0:
		p.riffEnd = next
	default:
		return at, false
	}
	v.known = next
	return next, true
}

// goOn finds the next frame or index behind a damaged place, which becomes a
// JUNK chunk. It returns where that is, if there is one.
func (v *aviSurvey) goOn() (next int64, ok bool) {
	from := v.size
	if v.known > from {
		return v.goOnBehindIndex()
	}
	to := min(v.end, from+maxCut)
	next = v.nextChunk(indexID, from, v.nextChunk(frameID, from, to))
	if v.a.audio.exists() {
		next = v.nextChunk(audioID, from, next)
	}
	if next == to {
		return 0, false
	}
	v.passOver(from, next, junkHead(next-from))
	v.size = next
	return next, true
}

// goOnBehindIndex finds the next part behind the damaged indexes of one.
func (v *aviSurvey) goOnBehindIndex() (next int64, ok bool) {
	from := v.known
	name, ok := indexOf(v.f, []byte("AVIXLIST"), from+2*chunkHead, min(v.end, from+maxCut))
	next = name - chunkHead
	if !ok || next%2 != from%2 {
		return 0, false
	}
	v.passOver(from, next, junkHead(next-from))
	v.a.lastPart().riffEnd = next
	return next, true
}

// junkHead returns the beginning of a JUNK chunk of that many bytes in total.
func junkHead(size int64) []byte { return append([]byte(junkID), le32(uint32(size-chunkHead))...) }

// nextChunk returns where before to the next chunk of a kind begins behind a
// damaged place, and behind the head of another chunk for that place; to if nowhere.
func (v *aviSurvey) nextChunk(id string, from, to int64) int64 {
	for at, ok := from+chunkHead, true; ; at++ {
		at, ok = indexOf(v.f, []byte(id), at, to)
		if !ok || (at-from)%2 == 0 && v.isChunk(at, id) {
			return at
		}
	}
}

// isChunk reports whether a frame, audio or an index is at a place.
func (v *aviSurvey) isChunk(at int64, id string) bool {
	var b [chunkHead + 4]byte
	if _, err := v.f.ReadAt(b[:], at); err != nil {
		return false
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if id == audioID {
		return at+chunkHead+size <= v.end && v.holdsSamples(size)
	}
	begins := map[string]string{frameID: "\xFF\xD8\xFF", indexID: "\x02\x00\x00\x01"}[id]
	return at+chunkHead+size <= v.end && strings.HasPrefix(string(b[chunkHead:]), begins)
}

// countIndexed returns how many frames the index of the last part has.
func (v *aviSurvey) countIndexed() int64 {
	p := v.a.lastPart()
	var b [4]byte
	if _, err := v.f.ReadAt(b[:], p.ix+chunkHead+4); err != nil {
		return 0
	}
	return min(int64(binary.LittleEndian.Uint32(b[:])), (p.ixEnd-p.ix)/8)
}

// takeFrame takes a chunk with a frame, or with none for a repetition.
func (v *aviSurvey) takeFrame(at, size int64) {
	p := v.a.lastPart()
	data, end := at+chunkHead, at+chunkHead+size
	v.a.index = append(v.a.index, entry{uint32(data - p.riff), uint32(size)})
	p.frames++
	if size > 0 {
		v.addFrame(span{start: at, data: data, end: end})
	}
	v.size = end + size%2
	p.moviEnd, p.riffEnd = v.size, v.size
	if v.size > v.end {
		// Chunks have even sizes; the cut took the byte that pads this one.
		v.notePatch(end, []byte{0})
	}
}

// holdsSamples reports whether a chunk of so many bytes may be one of audio.
func (v *aviSurvey) holdsSamples(size int64) bool {
	align := int64(v.a.audio.format.SampleSize())
	return align > 0 && size > 0 && size%align == 0 && size <= longestBlock*align
}

// takeAudio takes a chunk with audio.
func (v *aviSurvey) takeAudio(at, size int64) {
	p := v.a.lastPart()
	data := at + chunkHead
	v.a.audio.index = append(v.a.audio.index, entry{uint32(data - p.riff), uint32(size)})
	p.samples += size / int64(v.a.audio.format.SampleSize())
	v.addUnit(span{start: at, data: data, end: data + size})
	p.moviEnd, p.riffEnd = v.size, v.size
}

// beginPart takes the beginning of a further part.
func (v *aviSurvey) beginPart(at int64) (next int64, ok bool) {
	var b [riffHead + listHead]byte
	if _, err := v.f.ReadAt(b[:], at); err != nil || at+int64(len(b)) > v.end {
		return at, false
	}
	if string(b[8:16]) != "AVIXLIST" || string(b[20:]) != "movi" || v.a.lastPart().ix == 0 || len(v.a.parts) == maxParts {
		return at, false
	}
	next = at + int64(len(b))
	v.correctIndexes()
	v.a.parts = append(v.a.parts, part{riff: at, movi: at + riffHead, moviEnd: next, riffEnd: next})
	v.a.index, v.a.audio.index = v.a.index[:0], v.a.audio.index[:0]
	v.size, v.known = next, next
	return next, true
}

// correctIndexes corrects the indexes of a part that is complete.
func (v *aviSurvey) correctIndexes() {
	p := v.a.lastPart()
	if v.correctIndex(p.ix, p.ixEnd, standardIndex(indexID, frameID, *p, v.a.index)) {
		p.frames = int64(len(v.a.index))
	}
	v.correctIndex(p.audioIx, p.audioIxEnd, standardIndex(audioIx, audioID, *p, v.a.audio.index))
}

// correctIndex makes what lies between two places the index that is wanted, and reports
// whether it was another one.
func (v *aviSurvey) correctIndex(from, to int64, want []byte) bool {
	is := make([]byte, len(want))
	if to-from != int64(len(want)) {
		return false // frames are damaged; the index knows where others are
	}
	if _, err := v.f.ReadAt(is, from); err != nil || bytes.Equal(is, want) {
		return false
	}
	v.notePatch(from, want)
	return true
}

// finishLastPart ends the last part behind its last frame. One without a frame goes.
func (v *aviSurvey) finishLastPart() error {
	p := v.a.lastPart()
	if p.frames == 0 && p.samples == 0 && len(v.a.parts) > 1 {
		v.a.parts = v.a.parts[:len(v.a.parts)-1]
		// An interruption right after nextPart: the part before this one is complete.
		v.size, v.a.stale = v.a.lastPart().riffEnd, true
		return v.a.settleHeaders()
	}
	p.ix, p.audioIx, p.frames = 0, 0, int64(len(v.a.index))
	return v.a.finishLastPart()
}

// totalDuration is of all frames, at the rate of the head.
func (v *aviSurvey) totalDuration() time.Duration {
	var frames int64
	for _, p := range v.a.parts {
		frames += p.frames
	}
	scale, rate := binary.LittleEndian.Uint32(v.a.head[scaleAt:]), binary.LittleEndian.Uint32(v.a.head[rateAt:])
	seconds := float64(frames) * float64(scale) / float64(max(rate, 1))
	return time.Duration(min(seconds, maxSeconds) * float64(time.Second))
}

const maxSeconds = float64(1<<62) / float64(time.Second)
