package container

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tbcam/tbcam/codec/jfif"
)

// Report is what Repair found and did.
type Report struct {
	Kind     Kind
	Frames   int
	Duration time.Duration // 0 where the kind has no times
	Cut      int64         // bytes of what was not whole, at the end or between frames
	Whole    bool          // there was nothing to do
}

// maxCut bounds what is cut off the end. An interruption takes what was gathered
// since the last Sync: more than that is a damage of another kind, behind which
// there may be good frames.
const maxCut = 512 << 20

// Repair gives a recording that did not come to its end its index and duration,
// in place and without touching a frame. Only what is not a whole frame is
// cut off. Being interrupted harms nothing: it can be done again.
func Repair(path string) (Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Report{}, err
	}
	if info.IsDir() {
		return repairDirectory(path)
	}
	if !info.Mode().IsRegular() {
		return Report{}, fmt.Errorf("%s: %w", path, ErrNotRecording)
	}
	f, err := openLocked(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return Report{}, err
	}
	report, err := repairFile(osFile{f}, info.Size())
	if errors.Is(err, ErrNotRecording) || errors.Is(err, ErrNoFrame) || errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return report, err
}

// openLocked opens a file for a change, unless it is being recorded.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// storage is a disk that can be read, too.
type storage interface {
	disk
	io.ReaderAt
}

// survey is what a recording holds up to some place in it, and how to end it
// there.
type survey struct {
	*file    // its size is behind the last frame
	report   Report
	units    int     // frames, and blocks of audio
	known    int64   // behind an index, if there is one
	tail     []span  // the last frames
	patches  []patch // make what is before size consistent
	patched  int     // bytes of memory for them
	complete func() error
}

// span is where a frame or a block of audio lies: from start with what belongs to it,
// from data itself. torn reports whether its data is not all there; nil where that cannot be known.
type span struct {
	start, data, end int64
	torn             func(data []byte) bool
}

type patch struct {
	at   int64
	data []byte
}

func newSurvey(kind Kind, f storage) *survey {
	return &survey{
		file:     &file{disk: f, seekable: true, named: true},
		report:   Report{Kind: kind},
		complete: func() error { return nil },
	}
}

// maxTail bounds how many frames are looked at for having been torn.
const maxTail = 256

// addFrame counts a frame, which is a JPEG.
func (s *survey) addFrame(p span) {
	s.report.Frames++
	p.torn = tornJPEG
	s.addUnit(p)
}

// addUnit counts a frame or a block of audio.
func (s *survey) addUnit(p span) {
	s.units++
	s.size, s.known = p.end, p.end
	if len(s.tail) == maxTail {
		s.tail = append(s.tail[:0], s.tail[maxTail/2:]...)
	}
	s.tail = append(s.tail, p)
}

// passOver makes a damaged place in the middle, which ends at next, something that
// players pass over, by what has to be written at its beginning.
func (s *survey) passOver(from, next int64, head []byte) {
	s.notePatch(from, head)
	s.report.Cut += next - from
}

// notePatch notes what has to be changed, as far as there is memory for it.
func (s *survey) notePatch(at int64, data []byte) {
	if s.patched += len(data) + patchCost; s.patched <= maxPatches {
		s.patches = append(s.patches, patch{at, data})
	}
}

// finishRepair ends the recording.
func (s *survey) finishRepair() error {
	for _, p := range s.patches {
		if _, err := s.WriteAt(p.data, p.at); err != nil {
			return err
		}
	}
	return cmp.Or(s.complete(), s.Truncate(s.size), s.Sync())
}

// surveyor surveys a recording up to end.
type surveyor func(f storage, end int64) (*survey, error)

// surveyorOf recognises the kind by how the file begins.
func surveyorOf(f io.ReaderAt) (surveyor, error) {
	var b [12]byte
	if _, err := f.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(b[:], []byte{0x1A, 0x45, 0xDF, 0xA3}):
		return surveyMatroska, nil
	case string(b[4:8]) == "ftyp":
		return surveyMP4, nil
	case string(b[:4]) == "RIFF" && string(b[8:]) == "AVI ":
		return surveyAVI, nil
	case jfif.StartsJPEG(b[:]):
		return surveyMJPEG, nil
	}
	return nil, ErrNotRecording
}

// repairFile repairs the recording of size bytes in f.
func repairFile(f storage, size int64) (Report, error) {
	look, err := surveyorOf(f)
	if err != nil {
		return Report{}, err
	}
	// A rehearsal first: it finds what to change and where the recording ends, and a file
	// that needs nothing is never written to.
	reading := newBounded(f, size)
	rehearsal := &comparer{storage: reading, size: size}
	end := size
	s, err := look(rehearsal, end)
	// Torn frames move the end forward, which may leave others at it.
	for err == nil && s.findTorn(reading, &end) {
		s, err = look(rehearsal, end)
	}
	if err = cmp.Or(reading.err, err); err != nil {
		return Report{}, err
	}
	if s.report.Frames == 0 {
		return Report{}, ErrNoFrame
	}
	if size-s.known > maxCut || s.patched > maxPatches {
		return Report{}, fmt.Errorf("%w (byte %d)", ErrDamaged, s.known)
	}
	s.report.Cut += max(size-s.known, 0) // padding may be added
	err = s.finishRepair()
	if err = cmp.Or(reading.err, err); err != nil {
		return Report{}, err
	}
	if s.report.Whole = !rehearsal.differs; s.report.Whole {
		return s.report, nil
	}
	// The same survey again, since the rehearsal has consumed the first one; this one
	// writes.
	reading = newBounded(f, size)
	real, err := look(reading, end)
	if err = cmp.Or(reading.err, err); err != nil {
		return Report{}, err
	}
	return s.report, real.finishRepair()
}

// comparer is a storage that only finds out whether writing would change it.
type comparer struct {
	storage
	size    int64
	differs bool
}

func (c *comparer) WriteAt(b []byte, at int64) (int, error) {
	is := make([]byte, len(b))
	n, err := c.ReadAt(is, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	c.differs = c.differs || !bytes.Equal(is[:n], b)
	return len(b), nil
}

func (c *comparer) Truncate(size int64) error {
	c.differs = c.differs || size != c.size
	return nil
}

func (c *comparer) Sync() error { return nil }

// findTorn reports whether the last frames are torn, and sets end to where they
// begin: after a loss of power a file may have its length, but not all its data.
func (s *survey) findTorn(f io.ReaderAt, end *int64) bool {
	torn := false
	for _, p := range slices.Backward(s.tail) {
		switch {
		case p.torn == nil: // of what may be zeros nothing is known
		case !isTorn(f, p):
			return torn
		default:
			*end, torn = p.start, true
		}
	}
	return torn
}

// maxFrameSize bounds the frames that are looked into, in bytes.
const maxFrameSize = 64 << 20

// isTorn reports whether the data of a span is not all there.
func isTorn(f io.ReaderAt, p span) bool {
	if p.end-p.data > maxFrameSize || p.end == p.data {
		return false
	}
	data := make([]byte, p.end-p.data)
	if _, err := f.ReadAt(data, p.data); err != nil {
		return false
	}
	return p.torn(data)
}

// tornJPEG reports whether a JPEG lacks its beginning or its end, and zeros, which
// file systems give for what was not written, are in its place.
func tornJPEG(data []byte) bool {
	if data[0] != 0 && data[len(data)-1] != 0 {
		return false
	}
	h, err := jfif.ParseHeader(data)
	return err != nil || !h.Complete
}

// surveyMJPEG has no index to make: an unfinished frame is all there is to cut.
func surveyMJPEG(f storage, end int64) (*survey, error) {
	s := newSurvey(MJPEG, f)
	r := jfif.NewSplitter(io.NewSectionReader(f, 0, end), maxFrameSize)
	for {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			s.report.Frames++
			s.size = r.Offset()
		} else if !errors.Is(err, jfif.ErrTooLong) {
			return nil, err
		}
	}
	// What a camera has put behind its last frame stays.
	if at, ok := indexOf(f, []byte{0xFF, 0xD8, 0xFF}, s.size, end); ok {
		s.size = at
	} else {
		s.size = end
	}
	s.known = s.size
	return s, nil
}

// indexOf returns where between from and end some bytes begin.
func indexOf(f io.ReaderAt, what []byte, from, end int64) (at int64, ok bool) {
	b := make([]byte, 64<<10)
	for ; from < end; from += int64(len(b) - len(what) + 1) {
		n, _ := f.ReadAt(b[:min(int64(len(b)), end-from)], from)
		if i := bytes.Index(b[:n], what); i >= 0 {
			return from + int64(i), true
		}
	}
	return end, false
}
