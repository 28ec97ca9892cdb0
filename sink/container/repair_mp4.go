package container

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// mp4Survey reads a file that newMP4 has begun.
type mp4Survey struct {
	*survey
	f     storage
	end   int64 // of what is read
	m     *mp4
	notes []gap  // of the fragment behind them
	lasts uint32 // µs, the last frame by its fragment
}

func surveyMP4(f storage, end int64) (*survey, error) {
	head, err := readMP4Head(f, end)
	if err != nil {
		return nil, err
	}
	at := int64(len(head))
	s := newSurvey(MP4, f)
	s.size, s.known = at, at
	v := &mp4Survey{s, f, end, &mp4{file: s.file, head: head, index: newMP4Index()}, nil, 0}
	for ok := true; ok; {
		if at, ok = v.takeBox(at); !ok {
			at, ok = v.goOn()
		}
	}
	s.complete = v.m.finishFile
	s.report.Duration = max(time.Duration(v.m.length)*time.Microsecond, capture.AudioDuration(v.m.audio.written))
	return s, nil
}

// readMP4Head returns the ftyp and moov boxes of a file that newMP4 has begun.
func readMP4Head(f io.ReaderAt, end int64) ([]byte, error) {
	b := make([]byte, min(end, maxHead))
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	size := len(makeBox("ftyp", findBox(b, "ftyp")))
	if findBox(b, "ftyp") == nil || findBox(b, "moov") == nil || string(b[size+4:size+8]) != "moov" {
		return nil, ErrNotRecording
	}
	size += 8 + len(findBox(b, "moov"))
	head := b[:size]
	mdhd := findBox(head, "moov", "trak", "mdia", "mdhd")
	room := chapterRoom(head)
	switch {
	case len(findBox(head, "moov", "mvhd")) != 112, len(findBox(head, "moov", "trak", "tkhd")) != 96,
		len(mdhd) != 36, binary.BigEndian.Uint32(mdhd[20:]) != timescale,
		!bytes.HasPrefix(findBox(head, "moov", "mvex"), u32(extendsSize)),
		findBox(room, "free") == nil && findBox(room, "chpl") == nil:
		return nil, ErrNotRecording
	}
	if audio := audioTrak(head); audio != nil {
		mdhd := findBox(audio, "mdia", "mdhd")
		if len(findBox(audio, "tkhd")) != 96 || len(mdhd) != 36 || binary.BigEndian.Uint32(mdhd[20:]) != capture.AudioRate {
			return nil, ErrNotRecording
		}
	}
	return head, nil
}

// boxAt reads the beginning of a box that ends before end, if there is one.
func boxAt(f io.ReaderAt, at, end int64) (name string, size int64, ok bool) {
	var b [8]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return "", 0, false
	}
	size = int64(binary.BigEndian.Uint32(b[:]))
	return string(b[4:]), size, size >= 8 && at+8 <= end
}

// takeBox takes what is at a place behind the head. It returns where the next box is,
// and whether to go on.
func (v *mp4Survey) takeBox(at int64) (next int64, ok bool) {
	name, size, ok := boxAt(v.f, at, v.end)
	next = at + size
	if !ok || next > v.end {
		return at, false
	}
	switch name {
	case "emsg":
		v.takeMessage(at, size)
		return next, true
	case "moof":
		return v.takeFragment(at, size)
	case "free":
		if at == v.size {
			v.size = next
		}
		return next, true
	case "mfra":
		if at == v.size {
			v.known = next
		}
	}
	return next, false
}

// goOn finds the next fragment behind a damaged place, which becomes a free box.
// It returns where the box behind that fragment is, if there is one.
func (v *mp4Survey) goOn() (next int64, ok bool) {
	const smallest, nameAt = 8, 4
	from, units := v.size, v.units
	if v.known > from { // that is the index
		return 0, false
	}
	v.notes = nil
	for at := from + smallest; ; at++ {
		name, ok := indexOf(v.f, []byte("moof"), at+nameAt, min(v.end, from+maxCut))
		at = name - nameAt
		if !ok {
			return 0, false
		}
		_, size, ok := boxAt(v.f, at, v.end)
		if !ok {
			continue
		}
		if next, _ = v.takeFragment(at, size); v.units > units {
			v.passOver(from, at, append(u32(uint32(at-from)), "free"...))
			return next, true
		}
	}
}

// takeMessage takes the text of a gap.
func (v *mp4Survey) takeMessage(at, size int64) {
	const fields = 8 + 4 + 4 + 8 + 4 + 4
	if size > maxNote || len(v.m.gaps)+len(v.notes) >= maxGaps {
		return
	}
	b := make([]byte, size)
	if _, err := v.f.ReadAt(b, at); err != nil || len(b) < fields || !bytes.HasPrefix(b[fields:], []byte(gapScheme)) {
		return
	}
	text := b[fields+len(gapScheme):]
	if us := binary.BigEndian.Uint64(b[16:]); us < maxTime {
		v.notes = append(v.notes, gap{int64(us), string(text[:min(len(text), maxGapText)])})
	}
}

// takeFragment takes a moof box and the mdat box behind it, or what there is of its
// frames.
func (v *mp4Survey) takeFragment(at, size int64) (next int64, ok bool) {
	name, mdat, ok := boxAt(v.f, at+size, v.end)
	if !ok || name != "mdat" || size > chunkSize {
		return at, false
	}
	moof := make([]byte, size)
	if _, err := v.f.ReadAt(moof, at); err != nil {
		return at, false
	}
	track, start, run, count := parseFragment(moof)
	if run == nil || track == audioNumber && audioTrak(v.m.head) == nil {
		return at, false
	}
	data, dataEnd := at+size+8, min(at+size+mdat, v.end)
	// run is a slice of moof, so the difference of their capacities is its offset.
	runAt := at + int64(cap(moof)-cap(run))
	listed := run[:min(count*sampleSize, len(run))]
	taken := 0
	if track == audioNumber {
		taken = v.takeAudio(listed, data, dataEnd, start)
	} else if taken = v.takeSamples(listed, data, dataEnd, start); taken > 0 {
		v.noteFragment(start, at, runAt+int64(taken-sampleSize), run[taken-sampleSize:])
	}
	if taken == 0 {
		return at, false
	}
	// The mdat box ends behind the last whole frame.
	whole := v.size == at+size+mdat
	if !whole {
		v.notePatch(at+size, u32(uint32(v.size-at-size)))
	}
	// The samples of lost frames become a free box, or are one from an earlier repair.
	behind := moof[runAt-at+int64(taken):]
	if count*sampleSize != taken || !isFree(behind) {
		v.shortenRun(runAt, taken, behind)
	}
	return v.size, whole
}

// noteFragment notes a fragment of frames, whose last one has its entry at a place.
func (v *mp4Survey) noteFragment(start, at, entryAt int64, entry []byte) {
	v.correctDuration(start)
	v.m.index.addFragment(fragment{start, at})
	v.m.last.at, v.m.last.duration = v.m.stamps.last, entryAt
	v.lasts = binary.BigEndian.Uint32(entry)
	v.m.gaps = append(v.m.gaps, v.notes...)
	v.notes = nil
}

// takeAudio takes the FLAC frames of a run that lie before end, from data and a time in
// samples on. It returns how many bytes of the run they are.
func (v *mp4Survey) takeAudio(run []byte, data, end, time int64) (taken int) {
	for ; taken < len(run); taken += sampleSize {
		next := data + int64(binary.BigEndian.Uint32(run[taken+4:]))
		if next > end {
			break
		}
		v.addUnit(span{start: data, data: data, end: next, torn: tornFLAC})
		data, time = next, time+int64(binary.BigEndian.Uint32(run[taken:]))
		v.m.audio.written = time
	}
	return taken
}

// isFree reports whether b is a free box or nothing.
func isFree(b []byte) bool {
	return len(b) == 0 || len(b) >= 8 && bytes.HasPrefix(b, freeBox(len(b))[:8])
}

// parseFragment returns the track of a fragment and its time there, its run of samples,
// and how many it claims to have, which differs where a repair was interrupted. The run
// is nil where the fragment is not one of ours.
func parseFragment(moof []byte) (track uint32, start int64, run []byte, count int) {
	tfhd := findBox(moof, "moof", "traf", "tfhd")
	tfdt, trun := findBox(moof, "moof", "traf", "tfdt"), findBox(moof, "moof", "traf", "trun")
	const fields = 4 + 4 + 4
	if len(tfhd) != 8 || len(tfdt) != 12 || !bytes.HasPrefix(tfdt, versionAndFlags(1, 0)) || len(trun) < fields {
		return 0, 0, nil, 0
	}
	run = trun[fields:]
	time := binary.BigEndian.Uint64(tfdt[4:])
	data := binary.BigEndian.Uint32(trun[8:])
	track = binary.BigEndian.Uint32(tfhd[4:])
	if track > audioNumber || time > maxTime || !bytes.HasPrefix(trun, versionAndFlags(0, trunFields)) || int(data) != len(moof)+8 || len(run)%sampleSize != 0 {
		return 0, 0, nil, 0
	}
	return track, int64(time), run, int(binary.BigEndian.Uint32(trun[4:]))
}

// takeSamples takes the frames of a run that lie before end, from data and a time
// on. It returns how many bytes of the run they are.
func (v *mp4Survey) takeSamples(run []byte, data, end, time int64) (taken int) {
	for ; taken < len(run); taken += sampleSize {
		next := data + int64(binary.BigEndian.Uint32(run[taken+4:]))
		if next > end {
			break
		}
		v.addFrame(span{start: data, data: data, end: next})
		v.m.stamps.last = time
		data, time = next, time+int64(binary.BigEndian.Uint32(run[taken:]))
		v.m.length = time
	}
	return taken
}

// correctDuration makes the last frame before a fragment last until it, see
// mp4.correctDuration.
func (v *mp4Survey) correctDuration(start int64) {
	duration := uint32(min(start-v.m.last.at, math.MaxUint32))
	if v.m.last.duration > 0 && start > v.m.last.at && v.lasts != duration {
		v.notePatch(v.m.last.duration, u32(duration))
	}
}

// shortenRun ends a run after the samples that were taken, and makes what was behind
// them a free box. At each moment the boxes list these samples at least, and of
// no others that lie in the mdat box.
func (v *mp4Survey) shortenRun(runAt int64, taken int, behind []byte) {
	if len(behind) >= 8 {
		v.notePatch(runAt+int64(taken), freeBox(len(behind)))
	}
	const fields = 4 + 4 + 4
	trun := makeBox("trun", versionAndFlags(0, trunFields), u32(uint32(taken/sampleSize)))
	binary.BigEndian.PutUint32(trun, uint32(8+fields+taken))
	v.notePatch(runAt-8-fields, trun)
}
