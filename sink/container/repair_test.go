package container

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// memory is a storage that may fail at some time.
type memory struct {
	data   []byte
	writes int // that succeed from now on; after them nothing changes
}

var errMemory = errors.New("the power is off")

func newMemory(data []byte) *memory { return &memory{bytes.Clone(data), 1 << 30} }

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(b, at)
}

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if m.writes--; m.writes < 0 {
		b = b[:len(b)/2] // the last one is torn
	}
	if m.writes < -1 {
		return 0, errMemory
	}
	m.data = append(m.data, make([]byte, max(0, int(at)+len(b)-len(m.data)))...)
	copy(m.data[at:], b)
	if m.writes < 0 {
		return len(b), errMemory
	}
	return len(b), nil
}

func (m *memory) Truncate(size int64) error {
	if m.writes--; m.writes < 0 {
		return errMemory
	}
	m.data = append(m.data, make([]byte, max(0, int(size)-len(m.data)))...)[:size]
	return nil
}

func (m *memory) Sync() error  { return nil }
func (m *memory) Close() error { return nil }

// files are the kinds that are one file.
var files = []Kind{Matroska, MP4, AVI, MJPEG}

// filmed returns what a recording of n frames is before its end, and after it.
func filmed(t testing.TB, kind Kind, n int) (interrupted, ended []byte) {
	t.Helper()
	disk := newMemory(nil)
	w, err := openKind(&file{disk: disk, seekable: true, named: true}, options(kind, jpegs))
	if err != nil {
		t.Fatal(err)
	}
	times := newTimes(3)
	for i := range n {
		if i == n/2 {
			must(t, w.Gap(capture.Lost{Driver: 7}, "cable"))
		}
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, i)}, times.next()))
	}
	must(t, w.Flush())
	interrupted = bytes.Clone(disk.data)
	must(t, w.Close())
	return interrupted, disk.data
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ends returns where in data each of n frames ends.
func ends(t *testing.T, data []byte, n int) (all []int) {
	t.Helper()
	at := 0
	for i := range n {
		p := sampleFrame(jpegs, i)
		found := bytes.Index(data[at:], p)
		if found < 0 {
			t.Fatalf("frame %d is not there", i)
		}
		at += found + len(p)
		all = append(all, at)
	}
	return all
}

// TestRepairIsTheProperEnd: what an interrupted recording lacks is exactly what a
// proper end would have written.
func TestRepairIsTheProperEnd(t *testing.T) {
	for _, kind := range files {
		interrupted, ended := filmed(t, kind, 100)
		disk := newMemory(interrupted)
		report, err := repairFile(disk, int64(len(interrupted)))
		if err != nil || report.Frames != 100 || report.Cut != 0 || report.Kind != kind {
			t.Errorf("%v: %+v, %v", kind, report, err)
		}
		if !bytes.Equal(disk.data, ended) {
			t.Errorf("%v: the repaired file is another one", kind)
		}
		again, err := repairFile(disk, int64(len(ended)))
		if err != nil || !again.Whole || again.Frames != 100 || again.Duration != report.Duration {
			t.Errorf("%v: repaired once more: %+v, %v", kind, again, err)
		}
	}
}

// TestRepairTorn cuts recordings anywhere, with and without zeros or junk behind:
// all frames before the cut stay, and where they are.
func TestRepairTorn(t *testing.T) {
	const frames, cuts = 60, 300
	for _, kind := range files {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			interrupted, ended := filmed(t, kind, frames)
			for seed := range uint64(cuts) {
				random := rand.New(rand.NewPCG(seed, 9))
				data := interrupted
				if seed%3 == 0 {
					data = ended
				}
				cut := random.IntN(len(data) + 1)
				if seed%5 == 0 { // next to the end of a frame
					cut = min(ends(t, data, frames)[random.IntN(frames)]+random.IntN(9)-4, len(data))
				}
				var behind []byte
				switch seed % 4 {
				case 1:
					behind = make([]byte, random.IntN(20000))
				case 2: // random bytes in place of a frame's end would be one, too
					cut = ends(t, data, frames)[random.IntN(frames)]
					behind = randomBytes(random, random.IntN(2000))
				}
				whole, _ := slices.BinarySearch(ends(t, data, frames), cut+1)
				torn(t, fmt.Sprintf("seed %d, cut at %d", seed, cut), slices.Concat(data[:cut], behind), whole)
			}
		})
	}
}

// torn repairs data, which has so many whole frames.
func torn(t *testing.T, name string, data []byte, whole int) {
	t.Helper()
	disk := newMemory(data)
	report, err := repairFile(disk, int64(len(data)))
	if whole == 0 {
		if !errors.Is(err, ErrNoFrame) && !errors.Is(err, ErrNotRecording) || !bytes.Equal(disk.data, data) {
			t.Errorf("%s: %+v, %v, want an error and no change", name, report, err)
		}
		return
	}
	if err != nil || report.Frames != whole {
		t.Fatalf("%s: %+v, %v, want %d frames", name, report, err, whole)
	}
	if got, want := ends(t, disk.data, whole), ends(t, data, whole); !slices.Equal(got, want) {
		t.Errorf("%s: frames have moved", name)
	}
	if again, err := repairFile(disk, int64(len(disk.data))); err != nil || !again.Whole || again.Frames != whole {
		t.Errorf("%s: repaired once more: %+v, %v", name, again, err)
	}
}

// TestRepairInterrupted lets a repair die after each of its writes. The next one
// finds all frames, and comes to the same end.
func TestRepairInterrupted(t *testing.T) {
	const frames = 60
	for _, kind := range files {
		interrupted, _ := filmed(t, kind, frames)
		data := interrupted[:len(interrupted)-100] // the last frame is torn
		want := newMemory(data)
		if _, err := repairFile(want, int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for writes := 0; ; writes++ {
			disk := newMemory(data)
			disk.writes = writes
			_, err := repairFile(disk, int64(len(data)))
			if err == nil {
				if writes == 0 {
					t.Errorf("%v: nothing was written", kind)
				}
				break
			}
			disk.writes = 1 << 30
			report, err := repairFile(disk, int64(len(disk.data)))
			if err != nil || report.Frames != frames-1 {
				t.Errorf("%v after %d writes: %+v, %v", kind, writes, report, err)
			}
			if !bytes.Equal(disk.data, want.data) {
				t.Errorf("%v after %d writes: repaired to another file", kind, writes)
			}
		}
	}
}

// TestRepairLostData: a loss of power may leave a file its length without its data.
func TestRepairLostData(t *testing.T) {
	const frames = 60
	for _, kind := range files {
		data, _ := filmed(t, kind, frames)
		all := ends(t, data, frames)
		for _, whole := range []int{1, 30, 57, 59} {
			lost := bytes.Clone(data)
			for i := whole; i < frames; i++ { // the elements around them are there
				clear(lost[all[i]-4000 : all[i]])
			}
			torn(t, fmt.Sprintf("%v, %d frames", kind, whole), lost, whole)
		}
	}
}

// chunks returns how what comes next after a damaged place begins.
var chunkStarts = map[Kind]string{Matroska: "\x1F\x43\xB6\x75\x01", MP4: "moof", AVI: "00dc"}

// TestRepairHole: where a container has a structure, a damage anywhere behind the
// head costs what it hits, and in Matroska and MP4 what follows in the same second,
// but no other frame.
func TestRepairHole(t *testing.T) {
	const frames, holes = 100, 200
	for kind := range chunkStarts {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			interrupted, ended := filmed(t, kind, frames)
			for seed := range uint64(holes) {
				random := rand.New(rand.NewPCG(seed, 12))
				whole := [][]byte{interrupted, ended}[seed%2]
				all := ends(t, whole, frames)
				from := all[0] + random.IntN(all[frames-1]-all[0])
				to := min(from+1+random.IntN(3000), len(whole))
				data := bytes.Clone(whole)
				if seed%4 < 2 {
					clear(data[from:to])
				} else {
					copy(data[from:to], randomBytes(random, to-from))
				}
				disk := newMemory(data)
				report, err := repairFile(disk, int64(len(data)))
				must(t, err)
				next := len(whole)
				if i := bytes.Index(whole[to:], []byte(chunkStarts[kind])); i >= 0 {
					next = to + i
				}
				kept := 0
				for i, end := range all {
					p := sampleFrame(jpegs, i)
					if end > from && end-len(p) < next {
						continue
					}
					kept++
					if !bytes.Equal(disk.data[end-len(p):end], p) {
						t.Fatalf("seed %d, damage at %d to %d: frame %d is lost", seed, from, to, i)
					}
				}
				if report.Frames < kept || report.Frames > frames {
					t.Errorf("seed %d, damage at %d to %d: %+v, want %d frames", seed, from, to, report, kept)
				}
				if again, err := repairFile(disk, int64(len(disk.data))); err != nil || !again.Whole || again.Frames != report.Frames {
					t.Errorf("seed %d: %+v, repaired once more: %+v, %v", seed, report, again, err)
				}
			}
		})
	}
}

func TestRepairRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	busy := shoot(t, MP4, jpegs)
	busy.add(0)
	must(t, busy.Flush())
	busyDir := shoot(t, Directory, jpegs)
	busyDir.add(0)
	for _, c := range []struct {
		path string
		want error
		text string
	}{
		{filepath.Join(dir, "none.mkv"), os.ErrNotExist, "no such file"},
		{write("text.mkv", "hello, I am a text and no video"), ErrNotRecording, "text.mkv: not a recording"},
		{write("empty.mkv", ""), ErrNotRecording, ""},
		{write("short.avi", "RIFF\x00\x00\x00\x00AVI "), ErrNotRecording, ""},
		{write("other.mp4", "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov"), ErrNotRecording, ""},
		{dir, ErrNotRecording, ""},
		{os.Args[0], nil, "text file busy"},
		{busy.path, ErrBusy, "file is being recorded"},
		{busyDir.path, ErrBusy, "file is being recorded"},
	} {
		before, _ := os.ReadFile(c.path)
		_, err := Repair(c.path)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", filepath.Base(c.path), err)
		}
		if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
			t.Errorf("%s has changed", c.path)
		}
	}
	busy.close()
	if r, err := Repair(busy.path); err != nil || !r.Whole {
		t.Errorf("after the recording: %+v, %v", r, err)
	}
}

// FuzzRepair: whatever is in a file, a repair ends, and a second one finds nothing
// to do.
func FuzzRepair(f *testing.F) {
	for _, kind := range files {
		interrupted, ended := filmed(f, kind, 3)
		f.Add(interrupted)
		f.Add(ended)
		f.Add(interrupted[:len(interrupted)-700])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		disk := newMemory(data)
		first, err := repairFile(disk, int64(len(data)))
		if err != nil {
			if !bytes.Equal(disk.data, data) {
				t.Error("an error, but the file has changed")
			}
			return
		}
		again, err := repairFile(disk, int64(len(disk.data)))
		if err != nil || !again.Whole || again.Frames != first.Frames {
			t.Errorf("%+v, but repaired once more %+v, %v", first, again, err)
		}
	})
}

// TestNoPermission works for root, too: the kernel checks files for another user.
func TestNoPermission(t *testing.T) {
	f := uneven(t, Matroska, jpegs, 3)
	must(t, os.Chmod(f.path, 0o400))
	dir := filepath.Dir(f.path)
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	must(t, syscall.Setfsuid(nobody))
	_, repairing := Repair(f.path)
	_, creating := Create(filepath.Join(dir, "b.mkv"), options(Matroska, jpegs))
	must(t, syscall.Setfsuid(os.Geteuid()))
	for _, err := range []error{repairing, creating} {
		if !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
	}
}

// TestManyGaps: a link that loses frames all the time does not make the file
// grow without a bound, and the first gaps are those that are kept.
func TestManyGaps(t *testing.T) {
	for kind, most := range map[Kind]int{Matroska: maxGaps, MP4: 255} {
		disk := newMemory(nil)
		w, err := openKind(&file{disk: disk, path: ".", seekable: true, named: true}, options(kind, jpegs))
		must(t, err)
		for i := range maxGaps + 100 {
			must(t, w.Gap(capture.Lost{Driver: 1}, strings.Repeat("long ", 100)))
			must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 0)}, time.Duration(i)*10*time.Millisecond))
		}
		must(t, w.Flush())
		interrupted := bytes.Clone(disk.data)
		must(t, w.Close())
		path := filepath.Join(t.TempDir(), "a."+kind.String())
		must(t, os.WriteFile(path, disk.data, 0o600))
		if n := len(probe(t, kind, path).Chapters); n > most || n < 30 {
			t.Errorf("%v: %d chapters, want up to %d", kind, n, most)
		}
		repaired := newMemory(interrupted)
		if _, err := repairFile(repaired, int64(len(interrupted))); err != nil || !bytes.Equal(repaired.data, disk.data) {
			t.Errorf("%v: the repaired file is another one (%v)", kind, err)
		}
	}
}
