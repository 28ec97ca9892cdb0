package container

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// counting is a storage that counts what is read from it.
type counting struct {
	*memory
	bytes int64
	calls int
	fail  int // of calls: fails from then on, 0 for never
}

func (c *counting) ReadAt(b []byte, at int64) (int, error) {
	c.bytes += int64(len(b))
	if c.calls++; c.fail > 0 && c.calls >= c.fail {
		return 0, syscall.EIO
	}
	return c.memory.ReadAt(b, at)
}

// allocated returns the bytes that a function allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// beginning returns a recording with one frame, interrupted.
func beginning(t *testing.T, kind Kind) []byte {
	t.Helper()
	interrupted, _ := filmed(t, kind, 1)
	return interrupted
}

// wrongPart returns a part of an AVI with so many repetitions, whose index is wrong.
func wrongPart(frames int) []byte {
	chunks := bytes.Repeat(riffChunk(frameID), frames)
	index := riffChunk(indexID, le16(2, 1<<8), make([]byte, 20+8*frames))
	movi := riffList("movi", chunks, index)
	return riffChunk("RIFF", []byte("AVIX"), movi)
}

// TestRepairIsBounded: whatever is in a file, its repair reads and allocates what
// is stated, and a file that takes more is left alone.
func TestRepairIsBounded(t *testing.T) {
	const size = 1 << 20
	falsely := func(s string) []byte { return bytes.Repeat([]byte(s), size/len(s)) }
	for name, c := range map[string]struct {
		kind Kind
		tail []byte
	}{
		"AVI, names of chunks":       {AVI, falsely("00dc")},
		"AVI, names of indexes":      {AVI, append(falsely("ix00"), riffChunk(frameID, sampleJPEG())...)},
		"AVI, repetitions":           {AVI, bytes.Repeat(riffChunk(frameID), maxFrames+1)},
		"AVI, wrong indexes":         {AVI, append(standardIndex(indexID, frameID, part{}, nil), bytes.Repeat(wrongPart(maxFrames), 12)...)},
		"AVI, torn":                  {AVI, bytes.Repeat(riffChunk(frameID, make([]byte, 2)), size/10)},
		"Matroska, names of cluster": {Matroska, falsely("\x1F\x43\xB6\x75\x01")},
		"MP4, names of fragments":    {MP4, falsely("moof")},
		"MP4, large fragments":       {MP4, bytes.Repeat([]byte("\x00\x08\x00\x00moof\x00\x08\x00\x00mdat"), size/16)},
	} {
		t.Run(name, func(t *testing.T) {
			file := slices.Concat(beginning(t, c.kind), c.tail)
			disk := &counting{memory: newMemory(file)}
			var err error
			bytesAllocated := allocated(func() { _, err = repairFile(disk, int64(len(file))) })
			if !errors.Is(err, ErrDamaged) || !bytes.Equal(disk.data, file) {
				t.Errorf("%v, want %v and a file that is left alone", err, ErrDamaged)
			}
			most := 2 * (workPerByte*int64(len(file)) + workAtLeast)
			t.Logf("%d bytes: %d read in %d calls, %d allocated", len(file), disk.bytes, disk.calls, bytesAllocated)
			if disk.bytes > most || disk.calls > 200_000 {
				t.Errorf("%d bytes are read, in %d calls, want at most %d", disk.bytes, disk.calls, most)
			}
			if bytesAllocated > 1<<30 {
				t.Errorf("%d bytes are allocated", bytesAllocated)
			}
		})
	}
}

// TestRepairOfUnreadableFile: what cannot be read is not damaged, and nothing is
// cut off.
func TestRepairOfUnreadableFile(t *testing.T) {
	for _, kind := range files {
		interrupted, _ := filmed(t, kind, 20)
		for fail := range 12 {
			disk := &counting{memory: newMemory(interrupted), fail: 1 + fail}
			_, err := repairFile(disk, int64(len(interrupted)))
			switch {
			case disk.calls < disk.fail: // it needed fewer
			case !errors.Is(err, syscall.EIO):
				t.Errorf("%v, read %d fails: %v", kind, fail, err)
			case len(disk.data) < len(interrupted):
				t.Errorf("%v, read %d fails: cut to %d of %d bytes", kind, fail, len(disk.data), len(interrupted))
			}
		}
	}
}

// TestIndexIsBounded: the index of a long recording gets coarse, and leads to the
// frames of all of it.
func TestIndexIsBounded(t *testing.T) {
	x := seekIndex{span: 1000}
	const entries = 5*maxIndex + 7
	for i := range int64(entries) {
		x.addFragment(fragment{1000 * i, i})
	}
	if len(x.entries) > maxIndex || cap(x.entries) > 2*maxIndex || len(x.entries) < maxIndex/2 {
		t.Fatalf("%d entries of %d", len(x.entries), cap(x.entries))
	}
	for i := 1; i < len(x.entries); i++ {
		if e := x.entries[i]; e.start-x.entries[i-1].start != x.span || e.start != 1000*e.offset {
			t.Fatalf("entry %d is %+v, the one before %+v; span %d", i, e, x.entries[i-1], x.span)
		}
	}
	if last := x.entries[len(x.entries)-1]; x.entries[0].start != 0 || last.start < 1000*(entries-1)-x.span {
		t.Errorf("it leads from %+v to %+v", x.entries[0], last)
	}
}

// size is a disk that only counts.
type size struct{ *memory }

func (s size) WriteAt(b []byte, _ int64) (int, error) {
	s.memory.writes += len(b)
	return len(b), nil
}

// TestAVIOfFarTimes: what a peer claims of its times fills neither the disk nor the
// memory.
func TestAVIOfFarTimes(t *testing.T) {
	for _, rate := range []capture.Rate{{Num: 30, Den: 1}, {Num: maxRate, Den: 1}} {
		disk := size{&memory{}}
		o := options(AVI, jpegs)
		o.Rate = rate
		bytesAllocated := allocated(func() {
			w, err := openKind(&file{disk: disk, seekable: true, named: true}, o)
			must(t, err)
			for i := range 64 {
				must(t, w.Write(&capture.Frame{Data: sampleJPEG()[:603]}, time.Duration(i)*2000*time.Second))
			}
			must(t, w.Close())
		})
		if disk.writes > 64<<20 || bytesAllocated > 256<<20 {
			t.Errorf("at %v: %d bytes are written, and %d allocated", rate, disk.writes, bytesAllocated)
		}
	}
}

// TestAVIPartIsBounded: a part has no more frames than a repair takes.
func TestAVIPartIsBounded(t *testing.T) {
	disk := newMemory(nil)
	w, err := openKind(&file{disk: disk, seekable: true, named: true}, options(AVI, jpegs))
	must(t, err)
	for i := range maxFrames + 10 {
		must(t, w.Write(&capture.Frame{Data: []byte("\xFF\xD8\xFF\xD9")}, time.Duration(i)*time.Second/30))
	}
	must(t, w.Close())
	if n := strings.Count(string(disk.data), "AVIXLIST"); n != 1 {
		t.Errorf("%d further parts, want 1", n)
	}
	if report, err := repairFile(newMemory(disk.data), int64(len(disk.data))); err != nil || !report.Whole || report.Frames != maxFrames+10 {
		t.Errorf("%+v, %v", report, err)
	}
}
