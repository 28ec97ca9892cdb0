package container

import (
	"cmp"
	"math"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// riffSize bounds each RIFF chunk of an AVI (OpenDML: the first one at 1 GiB).
// It is a variable for tests.
var riffSize int64 = 1 << 30

const (
	// maxRepeats bounds the repeated frames of a file: nine hours at 30 a second.
	// Gaps beyond that are omitted.
	maxRepeats = 1 << 20
	// maxFrames bounds the frames of a part, repeated ones too, and the memory for
	// their places. A part has no more, even where it has room.
	maxFrames = 1 << 20
	// maxRate bounds the frames in a second that a camera may claim.
	maxRate = 1000
)

// avi is a Writer. Frames come at a constant rate: one that is missing is an
// empty chunk, on which players go on showing the one before.
type avi struct {
	*file
	head    []byte // all before the first chunk of frames, as it is to be in the file
	rate    float64
	slot    int64 // the next frame's
	repeats int64 // frames that are repetitions
	skipped int64 // slots that were omitted
	largest int   // frame, bytes
	parts   []part
	index   []entry // of the last part, in the file
	audio   aviAudio

	chunks []byte  // being gathered, for the last part
	news   []entry // of the frames in them, from the beginning of chunks
	stale  bool    // the headers in the file are not of now
}

// aviAudio is the second stream.
type aviAudio struct {
	audioTrack
	index []entry // of the last part, in the file
	news  []entry // of what is being gathered, from the beginning of avi.chunks
}

// part is one RIFF chunk of the file. The last one may lack its index.
type part struct {
	riff, movi       int64 // where it and its list begin
	moviEnd, riffEnd int64
	ix, ixEnd        int64 // where its index is
	frames           int64 // in the file, repetitions too

	audioIx, audioIxEnd int64 // where the index of its audio is
	samples             int64 // of audio per channel, in the file
}

// entry is the place of a frame's data, from the beginning of its part.
type entry struct{ offset, size uint32 }

// newAVI begins a file, which is the caller's to discard after an error.
func newAVI(f *file, o Options) (*avi, error) {
	rate := o.Rate
	if fps := rate.FPS(); fps < 1.0/maxRate || fps > maxRate {
		rate = capture.Rate{Num: 30, Den: 1}
	}
	a := &avi{file: f, head: aviHead(o, rate), rate: rate.FPS()}
	a.audio.format = o.Audio
	a.parts = []part{{movi: int64(len(a.head) - listHead)}}
	return a, f.appendParts(a.head)
}

func (a *avi) Write(f *capture.Frame, t time.Duration) error {
	for slot := a.slotOf(t); a.slot < slot; {
		if err := a.addChunk(nil); err != nil {
			return err
		}
		a.repeats++
	}
	return a.addChunk(f.Data)
}

// slotOf returns the place of a frame in the constant rate. Each has its own.
func (a *avi) slotOf(t time.Duration) int64 {
	slot := int64(math.Round(t.Seconds()*a.rate)) - a.skipped
	if latest := a.slot + maxRepeats - a.repeats; slot > latest {
		// A file holds so many repetitions and no more: the peer chooses the times. Later
		// frames keep their distance from here.
		a.skipped += slot - latest
		return latest
	}
	return max(slot, a.slot)
}

// addChunk takes a frame, nil for a repetition.
func (a *avi) addChunk(data []byte) error {
	if err := a.makeRoom(len(data)); err != nil {
		return err
	}
	a.news = append(a.news, entry{uint32(len(a.chunks) + chunkHead), uint32(len(data))})
	a.chunks = appendChunk(a.chunks, frameID, data)
	a.largest = max(a.largest, len(data))
	a.slot++
	return nil
}

func (a *avi) WriteAudio(samples []byte) error {
	// Room for all of it at once, so that none is taken where there is an error.
	if err := a.makeRoom(len(samples)); err != nil {
		return err
	}
	for block := range a.audio.blocksOf(samples) {
		a.audio.news = append(a.audio.news, entry{uint32(len(a.chunks) + chunkHead), uint32(len(block))})
		a.chunks = appendChunk(a.chunks, audioID, block)
		a.audio.add(len(block))
	}
	return nil
}

// makeRoom writes what was gathered, or begins another part, where so many bytes more
// would be too much.
func (a *avi) makeRoom(size int) error {
	if len(a.chunks) > 0 && len(a.chunks)+size > chunkSize {
		if err := a.Flush(); err != nil {
			return err
		}
	}
	if a.isPartFull(size) {
		return a.nextPart()
	}
	return nil
}

// isPartFull reports whether size bytes belong to the next part, as this one has enough
// chunks, or needs room for its indexes, too.
func (a *avi) isPartFull(size int) bool {
	chunks := int64(len(a.index) + len(a.news) + len(a.audio.index) + len(a.audio.news))
	after := a.size + int64(len(a.chunks)+chunkHead+size+1) + indexSize(chunks+1)
	return chunks >= maxFrames || chunks > 0 && after-a.lastPart().riff > riffSize
}

func (a *avi) lastPart() *part { return &a.parts[len(a.parts)-1] }

// nextPart completes the last part and begins another one.
func (a *avi) nextPart() error {
	if len(a.parts) == maxParts {
		return ErrFull
	}
	if err := a.Flush(); err != nil {
		return err
	}
	empty := partHead(part{movi: riffHead, moviEnd: riffHead + listHead, riffEnd: riffHead + listHead})
	if err := a.completePart(empty); err != nil {
		return err
	}
	at := a.size - int64(len(empty))
	a.parts = append(a.parts, part{riff: at, movi: at + riffHead, moviEnd: a.size, riffEnd: a.size})
	a.index, a.audio.index = a.index[:0], a.audio.index[:0]
	return nil
}

// completePart appends the indexes of the last part, and what comes after it.
func (a *avi) completePart(next []byte) error {
	p := a.lastPart()
	ix := standardIndex(indexID, frameID, *p, a.index)
	var audioIndex, legacy []byte
	if a.audio.exists() {
		audioIndex = standardIndex(audioIx, audioID, *p, a.audio.index)
	}
	if len(a.parts) == 1 {
		// Players of AVI 1.0 know the first part only, and its idx1.
		legacy = legacyIndex(*p, a.index, a.audio.index)
	}
	at := a.size
	if err := a.appendParts(ix, audioIndex, legacy, next); err != nil {
		return err
	}
	p.ix, p.ixEnd = at, at+int64(len(ix))
	p.moviEnd = p.ixEnd + int64(len(audioIndex))
	if a.audio.exists() {
		p.audioIx, p.audioIxEnd = p.ixEnd, p.moviEnd
	}
	p.riffEnd = p.moviEnd + int64(len(legacy))
	a.stale = true
	return nil
}

// Gap leaves a gap to be seen by its repetitions: there is no place for words.
func (a *avi) Gap(capture.Lost, string) error { return nil }

func (a *avi) Size() int64 { return a.size + int64(len(a.chunks)) }

func (a *avi) Flush() error {
	if len(a.chunks) > 0 {
		p := a.lastPart()
		base := uint32(a.size - p.riff)
		if err := a.appendParts(a.chunks); err != nil {
			return err
		}
		for _, e := range a.news {
			a.index = append(a.index, entry{base + e.offset, e.size})
		}
		for _, e := range a.audio.news {
			a.audio.index = append(a.audio.index, entry{base + e.offset, e.size})
			p.samples += int64(e.size) / int64(a.audio.format.SampleSize())
		}
		p.frames = int64(len(a.index))
		p.moviEnd, p.riffEnd = a.size, a.size
		a.chunks, a.news, a.audio.news, a.stale = a.chunks[:0], a.news[:0], a.audio.news[:0], true
	}
	return a.settleHeaders()
}

// settleHeaders writes what the headers should hold by now, so that players need no
// repair of a file that was not closed, but for its index.
func (a *avi) settleHeaders() error {
	if !a.stale {
		return nil
	}
	updateHead(a.head, a.parts, a.largest)
	if _, err := a.WriteAt(a.head, 0); err != nil {
		return err
	}
	// Older parts were complete before: only the last one grows, and the one before it
	// has just been completed.
	for _, p := range a.parts[max(1, len(a.parts)-2):] {
		if _, err := a.WriteAt(partHead(p), p.riff); err != nil {
			return err
		}
	}
	a.stale = false
	return nil
}

func (a *avi) Sync() error { return cmp.Or(a.Flush(), a.syncWithName()) }

func (a *avi) Close() error {
	err := a.Flush()
	if len(a.parts) == 1 && len(a.index)+len(a.audio.index) == 0 {
		return cmp.Or(err, a.discardFile())
	}
	return cmp.Or(err, a.finishLastPart(), a.syncWithName(), a.file.Close())
}

// finishLastPart completes the last part. Without room for its index the file is whole,
// but players have none for it.
func (a *avi) finishLastPart() error {
	return cmp.Or(a.completePart(nil), a.syncWithName(), a.settleHeaders())
}
