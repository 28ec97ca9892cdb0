package container

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		path string
		want Kind
		ok   bool
	}{
		{"a.mkv", Matroska, true}, {"a.MKV", Matroska, true}, {"/x.y/a.mp4", MP4, true}, {"a.avi", AVI, true},
		{"a.mjpeg", MJPEG, true}, {"a.mjpg", MJPEG, true}, {"dir/", Directory, true}, {"dir.mkv/", Directory, true},
		{"a", 0, false}, {"a.jpg", 0, false}, {"a.mkv.bak", 0, false}, {"-", 0, false}, {"", 0, false},
	} {
		if kind, ok := KindOf(c.path); kind != c.want || ok != c.ok {
			t.Errorf("%q is %v, %v", c.path, kind, ok)
		}
	}
	for _, kind := range all {
		if got, err := ParseKind(strings.ToUpper(kind.String())); got != kind || err != nil {
			t.Errorf("%v: %v, %v", kind, got, err)
		}
	}
	if _, err := ParseKind("webm"); err == nil || !strings.Contains(err.Error(), "known are mkv") {
		t.Errorf("webm: %v", err)
	}
}

func TestCheck(t *testing.T) {
	raw := capture.Format{Pixel: capture.NV12, Width: 640, Height: 480}
	for _, kind := range all {
		if err := kind.Check(jpegs); err != nil {
			t.Errorf("%v refuses JPEGs: %v", kind, err)
		}
		_, err := Create(filepath.Join(t.TempDir(), "a"), Options{Kind: kind, Format: raw})
		if kind != Matroska && !errors.Is(err, ErrJPEGOnly) {
			t.Errorf("%v: raw video: %v", kind, err)
		}
	}
}

func TestStamps(t *testing.T) {
	const us = time.Microsecond
	for _, c := range []struct {
		name string
		at   []time.Duration
		want []int64 // ms
	}{
		{"rounded, not added up", []time.Duration{0, 33_333 * us, 66_666 * us, 100_000 * us}, []int64{0, 33, 67, 100}},
		{"half a millisecond", []time.Duration{0, 499 * us, 1500 * us}, []int64{0, 1, 2}},
		{"repeated", []time.Duration{0, 10_000 * us, 10_000 * us, 10_000 * us, 20_000 * us}, []int64{0, 10, 11, 12, 20}},
		{"backwards", []time.Duration{0, 50_000 * us, 48_000 * us, 53_000 * us}, []int64{0, 50, 51, 53}},
		{"before the first", []time.Duration{0, -time.Hour, 5_000 * us}, []int64{0, 1, 5}},
		{"a long pause", []time.Duration{0, 100 * time.Hour}, []int64{0, 360_000_000}},
	} {
		s := newStamps(time.Millisecond)
		for i, at := range c.at {
			got := s.unitsOf(at)
			s.stepTo(got)
			if got != c.want[i] {
				t.Errorf("%s: frame %d is at %d ms, want %d", c.name, i, got, c.want[i])
			}
		}
	}
}

// TestAVISlots: each frame has a place of its own in the constant rate, the
// places between are repetitions, and a gap of years does not fill the disk.
func TestAVISlots(t *testing.T) {
	const period = time.Second / 30
	for _, c := range []struct {
		name string
		at   []time.Duration
		want []int64
	}{
		{"even", []time.Duration{0, period, 2 * period}, []int64{0, 1, 2}},
		{"jitter", []time.Duration{0, period + period/3, 2*period - period/3}, []int64{0, 1, 2}},
		{"too fast", []time.Duration{0, period / 2, period, period * 3 / 2, 4 * period}, []int64{0, 1, 2, 3, 4}},
		{"a gap", []time.Duration{0, time.Second, time.Second + period}, []int64{0, 30, 31}},
		{"backwards", []time.Duration{0, time.Second, 0}, []int64{0, 30, 31}},
		{"years", []time.Duration{0, 1e5 * time.Hour, 1e5*time.Hour + time.Second}, []int64{0, 1 + maxRepeats, 2 + maxRepeats}},
	} {
		a := avi{rate: 30}
		for i, at := range c.at {
			if got := a.slotOf(at); got != c.want[i] {
				t.Errorf("%s: frame %d has place %d, want %d", c.name, i, got, c.want[i])
			}
			a.repeats += c.want[i] - a.slot
			a.slot = c.want[i] + 1
		}
	}
}

// TestAVIRate: a peer may claim any rate.
func TestAVIRate(t *testing.T) {
	for _, c := range []struct {
		rate capture.Rate
		want float64
	}{
		{capture.Rate{Num: 30000, Den: 1001}, 30000.0 / 1001}, {capture.Rate{Num: 1, Den: 60}, 1.0 / 60},
		{capture.Rate{}, 30}, {capture.Rate{Num: 1}, 30}, {capture.Rate{Den: 1}, 30},
		{capture.Rate{Num: 1 << 31, Den: 1}, 30}, {capture.Rate{Num: 1, Den: 1 << 31}, 30},
	} {
		o := options(AVI, jpegs)
		o.Rate = c.rate
		a, err := newAVI(&file{disk: newMemory(nil), seekable: true}, o)
		if err != nil || a.rate != c.want {
			t.Errorf("%v: %v a second (%v), want %v", c.rate, a.rate, err, c.want)
		}
	}
}

// TestExisting: nothing is overwritten unasked, and nothing that is being recorded.
func TestExisting(t *testing.T) {
	for _, kind := range all {
		f := uneven(t, kind, jpegs, 5)
		o := options(kind, jpegs)
		if _, err := Create(f.path, o); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%v: %v", kind, err)
		}
		wantPackets(t, kind, f.path, f.expected(kind))
		o.Force = true
		w, err := Create(f.path, o)
		must(t, err)
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 0)}, 0))
		must(t, w.Flush())
		if _, err := Create(f.path, o); !errors.Is(err, ErrBusy) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: another recorder: %v", kind, err)
		}
		must(t, w.Close())
		wantPackets(t, kind, f.path, f.expected(kind)[:1])
	}
}

// TestNoFrame: such a recording leaves nothing behind.
func TestNoFrame(t *testing.T) {
	for _, kind := range all {
		f := shoot(t, kind, jpegs)
		must(t, f.Sync())
		f.close()
		if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: %v", kind, err)
		}
	}
	if _, err := Create(filepath.Join(t.TempDir(), "none", "a.mkv"), options(Matroska, jpegs)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestRemoved: writing into a file that has no name any more is an error.
func TestRemoved(t *testing.T) {
	for _, kind := range all {
		f := shoot(t, kind, jpegs)
		f.add(0)
		must(t, f.Sync())
		must(t, os.RemoveAll(f.path))
		err := f.Write(&capture.Frame{Data: sampleFrame(jpegs, 1)}, time.Second)
		if err == nil {
			err = f.Sync()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: %v", kind, err)
		}
		f.Close()
		if file := openFile(filepath.Dir(f.path)); file != "" {
			t.Errorf("%s is still open", file)
		}
	}
}

// TestSize: it is that of the file, also of what waits to be written.
func TestSize(t *testing.T) {
	for _, kind := range all {
		f := shoot(t, kind, jpegs)
		f.add(0)
		before := f.Size()
		must(t, f.Flush())
		if after := f.Size(); before > after || after-before > 200 { // MP4 adds a head
			t.Errorf("%v: %d bytes before a flush and %d after", kind, before, after)
		}
		var size int64
		must(t, filepath.Walk(f.path, func(_ string, info fs.FileInfo, err error) error {
			if info.Mode().IsRegular() {
				size += info.Size()
			}
			return err
		}))
		if size != f.Size() {
			t.Errorf("%v: %d bytes, Size returns %d", kind, size, f.Size())
		}
		f.close()
	}
}

// onlyWriter hides what a file could do more than a stream.
type onlyWriter struct{ io.Writer }

// TestStream: what a stream gets ffmpeg plays from one.
func TestStream(t *testing.T) {
	for _, kind := range all {
		var b bytes.Buffer
		w, err := Stream(onlyWriter{&b}, options(kind, jpegs))
		if kind == AVI || kind == Directory {
			if !errors.Is(err, ErrNotStreamable) {
				t.Errorf("%v: %v", kind, err)
			}
			continue
		}
		must(t, err)
		f := &film{Writer: w, t: t, format: jpegs}
		times := newTimes(4)
		for range 100 {
			f.add(times.next())
		}
		must(t, f.Sync())
		must(t, f.Close())
		if w.Size() != int64(b.Len()) {
			t.Errorf("%v: %d bytes, Size returns %d", kind, b.Len(), w.Size())
		}
		path := filepath.Join(t.TempDir(), "a."+kind.String())
		c := exec.Command("sh", "-c", `ffmpeg -v warning -f "$1" -i pipe:0 -c copy -f "$2" "$3"`, "sh",
			map[Kind]string{Matroska: "matroska", MP4: "mp4", MJPEG: "mjpeg"}[kind], map[Kind]string{Matroska: "matroska", MP4: "mp4", MJPEG: "mjpeg"}[kind], path)
		c.Stdin = &b
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v: %v: %s", kind, err, out)
		}
		want := f.expected(kind)
		got := probe(t, kind, path).Packets
		if !slices.EqualFunc(want, got, func(a packet, b struct {
			At   int64  `json:"pts"`
			Hash string `json:"data_hash"`
		}) bool {
			return a.Hash == b.Hash
		}) {
			t.Errorf("%v: %d frames, want %d", kind, len(got), len(want))
		}
	}
}

// TestStreamBreaks: the error of a stream is returned until the end.
func TestStreamBreaks(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer w.Close()
	s, err := Stream(w, options(Matroska, jpegs))
	must(t, err)
	must(t, r.Close())
	must(t, s.Write(&capture.Frame{Data: sampleFrame(jpegs, 0)}, 0))
	for range 2 {
		if err := s.Flush(); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%v", err)
		}
	}
	if err := s.Close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
}

// TestFullDisk: what did not fit is not lost when there is room again, and without
// room the recording stays playable up to there.
func TestFullDisk(t *testing.T) {
	for _, kind := range files {
		for _, again := range []bool{true, false} {
			name := fmt.Sprintf("%v, room again %v", kind, again)
			f := shoot(t, kind, jpegs)
			for i := range 40 {
				f.add(time.Duration(i) * 20 * time.Millisecond)
			}
			must(t, f.Flush())
			written := len(f.want)
			restore := limitFiles(t, uint64(f.Size()+8000))
			for i := range 10 {
				f.add(time.Duration(40+i) * 20 * time.Millisecond)
			}
			for range 3 {
				if err := f.Flush(); !errors.Is(err, syscall.EFBIG) {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if again {
				restore()
				must(t, f.Flush())
				f.close()
				wantPackets(t, kind, f.path, f.expected(kind))
				continue
			}
			err := f.Close()
			restore()
			if !errors.Is(err, syscall.EFBIG) {
				t.Errorf("%s: Close: %v", name, err)
			}
			wantPackets(t, kind, f.path, f.expected(kind)[:written])
			if r, err := Repair(f.path); err != nil || !r.Whole || r.Frames != written {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
	}
}

// limitFiles limits the size of files. The limit is one of the process, so such a
// test is not a parallel one.
func limitFiles(t *testing.T, size uint64) (restore func()) {
	var old syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}))
	restore = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// TestChunks: what is gathered is bounded in time and in bytes.
func TestChunks(t *testing.T) {
	for _, kind := range files {
		disk := newMemory(nil)
		w, err := openKind(&file{disk: disk, seekable: true}, options(kind, jpegs))
		must(t, err)
		big := make([]byte, chunkSize/2)
		before := len(disk.data)
		must(t, w.Write(&capture.Frame{Data: big}, 0))
		if len(disk.data) != before {
			t.Errorf("%v: written at half of the size", kind)
		}
		must(t, w.Write(&capture.Frame{Data: big}, time.Millisecond))
		must(t, w.Write(&capture.Frame{Data: big}, 2*time.Millisecond))
		if len(disk.data) < len(big) {
			t.Errorf("%v: nothing is written beyond the size", kind)
		}
		before = len(disk.data)
		must(t, w.Write(&capture.Frame{Data: big[:9]}, 2*time.Second))
		must(t, w.Write(&capture.Frame{Data: big[:9]}, 4*time.Second))
		if unit[kind] > 0 && kind != AVI && len(disk.data) == before {
			t.Errorf("%v: nothing is written after the span", kind)
		}
	}
}

// BenchmarkWrite writes 1080p JPEGs of a usual size, with a Flush each second.
func BenchmarkWrite(b *testing.B) {
	data := bytes.Repeat([]byte{1}, 300<<10)
	for _, kind := range all {
		b.Run(kind.String(), func(b *testing.B) {
			w, err := Create(filepath.Join(b.TempDir(), "a"), options(kind, jpegs))
			must(b, err)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				must(b, w.Write(&capture.Frame{Data: data}, time.Duration(i)*time.Second/30))
				if i%30 == 29 {
					must(b, w.Flush())
				}
			}
			must(b, w.Close())
		})
	}
}

// TestModes: these are frames of a room, which only their owner reads, unless he
// has chosen otherwise for a file that is overwritten.
func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for _, kind := range all {
		dir := t.TempDir()
		path := filepath.Join(dir, "a")
		w, err := Create(path, options(kind, jpegs))
		must(t, err)
		must(t, w.Write(&capture.Frame{Data: sampleJPEG()}, 0))
		must(t, w.Close())
		must(t, filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			must(t, err)
			info, err := d.Info()
			must(t, err)
			if mode := info.Mode().Perm(); mode&0o077 != 0 {
				t.Errorf("%v: %s has mode %v", kind, path, mode)
			}
			return nil
		}))
	}
}
