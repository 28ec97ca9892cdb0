package record

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/container"
)

// TestVariableRate: hours of video whose rate changes all the time, in segments
// of which the old ones go: each frame is in the right one, with its time to the
// millisecond.
func TestVariableRate(t *testing.T) {
	const (
		length  = 3 * time.Hour
		segment = 10 * time.Minute
		keep    = 75 * time.Minute
	)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var want [][]int64 // ms of each frame, segment by segment
	var f *film
	var begun []time.Time
	synctest.Test(t, func(t *testing.T) {
		f = newFilm(yuyv)
		r := begin(t, Options{
			Path: filepath.Join(dir, "%Y%m%d-%H%M%S.mkv"), Sync: 10 * time.Second,
			Segment: Limit{Time: segment}, Keep: Limit{Time: keep},
		}, nil)
		for after := time.Duration(0); after < length; {
			time.Sleep(time.Until(f.start.Add(after)))
			frame := f.frame(after)
			if len(want) == 0 || frame.Time.Sub(begun[len(begun)-1]) >= segment {
				want, begun = append(want, nil), append(begun, frame.Time)
			}
			last := len(want) - 1
			want[last] = append(want[last], frame.Time.Sub(begun[last]).Round(time.Millisecond).Milliseconds())
			if err := r.Write(frame, Gap{}); err != nil {
				t.Fatal(err)
			}
			after += wait(random)
		}
		time.Sleep(lookEvery) // for what has become too old by the end
		synctest.Wait()
		closed(t, r, f)
	})
	names := files(t, dir)
	first := len(want) - len(names)
	if oldest := begun[first].Add(segment); f.start.Add(length).Sub(oldest) > keep+lookEvery || len(names) < 7 || len(names) > 9 {
		t.Fatalf("%d segments of %d are left, the oldest ended at %v", len(names), len(want), oldest)
	}
	wantSegments(t, dir, names, f.size, want)
	t.Logf("%d frames in %d segments", f.shown, len(want))
}

// wantSegments checks the frames of the last segments and their times; want has those
// of all.
func wantSegments(t *testing.T, dir string, names []string, size int, want [][]int64) {
	t.Helper()
	number, first := 0, len(want)-len(names)
	for i, times := range want {
		if i >= first {
			wantTimes(t, wantFrames(t, filepath.Join(dir, names[i-first]), size, number, number+len(times)-1), times)
		}
		number += len(times)
	}
}

// wait returns the time to the next frame: mostly that of a camera in changing
// light, at times a second or two of nothing.
func wait(random *rand.Rand) time.Duration {
	if random.IntN(500) == 0 {
		return time.Duration(random.Int64N(int64(20 * time.Second)))
	}
	return 30*time.Millisecond + time.Duration(random.Int64N(int64(200*time.Millisecond)))
}

func wantTimes(t *testing.T, got []packet, want []int64) {
	t.Helper()
	for i, p := range got {
		if p.At != want[i] {
			t.Fatalf("frame %d of %d is at %d ms, want %d", i, len(want), p.At, want[i])
		}
	}
}

func TestOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path}, nil)
		f.roll(t, r, 90)
		s := r.Stats()
		if s.Files != 1 || s.File != path || !s.Recording || s.Frames < 60 || s.Frames+uint64(s.Waiting) != 90 || s.Free == 0 {
			t.Errorf("%+v", s)
		}
		closed(t, r, f)
		if s := r.Stats(); s.Frames != 90 || s.Waiting != 0 || s.Dropped != 0 || s.Bytes != uint64(90*f.size) || s.File != "" || s.Length.Round(10*time.Millisecond) != 2970*time.Millisecond || s.Recording {
			t.Errorf("%+v", s)
		}
		if err := r.Write(f.frame(0), Gap{}); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		closed(t, r, f)
		wantFrames(t, path, f.size, 0, 89)
		if info, err := os.Stat(path); err != nil || info.ModTime().Sub(f.start).Round(time.Second) != 3*time.Second {
			t.Errorf("the file ended at %v, the frames began at %v; %v", info.ModTime(), f.start, err)
		}
	})
}

// TestNothingIsLeft where no frame came.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, Options{Path: dir + "/a.mkv"}, nil)
	closed(t, r, newFilm(yuyv))
	if got := files(t, dir); got != nil {
		t.Errorf("left behind: %q", got)
	}
}

// TestSync: no frame is in memory alone for longer than was asked for.
func TestSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	for _, interval := range []time.Duration{40 * time.Millisecond, time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := newFilm(yuyv)
			const busy = 7 * time.Millisecond // for each frame, so that ticks are served late
			d := &disk{fault: func(op string) error {
				switch op {
				case "write":
					time.Sleep(busy)
				case "sync":
					time.Sleep(interval / 4)
				}
				return nil
			}}
			r := begin(t, Options{Path: path, Force: true, Sync: interval}, d.create)
			for range 300 {
				f.roll(t, r, 1)
				synctest.Wait()
				due := time.Since(f.start) - interval - time.Second/30 - busy
				if s := r.Stats(); int64(s.Frames) < int64(due*30/time.Second) {
					t.Fatalf("after %v with an interval of %v, %d frames are on the disk", time.Since(f.start), interval, s.Frames)
				}
			}
			closed(t, r, f)
		})
	}
}

func TestSegmentsBySize(t *testing.T) {
	dir := t.TempDir()
	f := newFilm(yuyv)
	synctest.Test(t, func(t *testing.T) {
		f.start = time.Now()
		r := begin(t, Options{Path: dir + "/%H%M%S.mkv", Segment: Limit{Size: 20000}}, nil)
		f.roll(t, r, 100)
		closed(t, r, f)
	})
	names, total := files(t, dir), 0
	for _, name := range names {
		total += len(probe(t, dir+"/"+name))
		if info, err := os.Stat(dir + "/" + name); err != nil || info.Size() > 20200 { // the index comes in the end
			t.Errorf("%s has %d bytes, %v", name, info.Size(), err)
		}
	}
	if total != 100 || len(names) != 6 {
		t.Errorf("%d frames in %d files, want 100 in 6", total, len(names))
	}
}

// TestSegmentOnDemand, and where the frames change: with a name that is no
// pattern, the files are numbered, and one that exists is stepped over.
func TestSegmentOnDemand(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a-2.mkv", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mkv"}, nil)
		f.roll(t, r, 10)
		r.Segment()
		f.roll(t, r, 20)
		f.format = uyvy
		f.roll(t, r, 30)
		closed(t, r, f)
		wantFrames(t, dir+"/a.mkv", f.size, 0, 9)
		wantFrames(t, dir+"/a-3.mkv", f.size, 10, 29)
		wantFrames(t, dir+"/a-4.mkv", f.size, 30, 59)
	})
	if b, err := os.ReadFile(dir + "/a-2.mkv"); string(b) != "precious" {
		t.Errorf("the file that existed holds %q, %v", b, err)
	}
}

// TestOnDemand: what came before the start is recorded too, and nothing after the
// stop.
func TestOnDemand(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mkv", Waiting: true, PreRoll: 990 * time.Millisecond}, nil)
		f.roll(t, r, 90)
		if r.Recording() || files(t, dir) != nil {
			t.Error("it records before it should")
		}
		r.Record(true)
		f.roll(t, r, 15) // 90 to 104
		r.Record(false)
		f.roll(t, r, 10)
		if !slices.Equal(files(t, dir), []string{"a.mkv"}) || r.Stats().File != "" {
			t.Error("the file is not complete after the stop")
		}
		r.Record(true)
		f.roll(t, r, 5) // 115 to 119, and the ten before
		r.Record(false)
		time.Sleep(2 * time.Second) // no frame comes any more
		synctest.Wait()
		if s := r.Stats(); s.File != "" || s.Frames != 30+15+15 {
			t.Errorf("%+v", s)
		}
		r.Record(true)
		f.roll(t, r, 3)
		closed(t, r, f)
		wantFrames(t, dir+"/a.mkv", f.size, 60, 104)
		wantFrames(t, dir+"/a-2.mkv", f.size, 105, 119)
		wantFrames(t, dir+"/a-3.mkv", f.size, 120, 122)
	})
}

// TestPreRollIsBounded by its memory.
func TestPreRollIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: t.TempDir() + "/a.mkv", Waiting: true, PreRoll: time.Hour, Buffer: 100 * leastCost}, nil)
		f.roll(t, r, 500)
		if n := f.pool.Outstanding(); n < 90 || n > 101 {
			t.Errorf("%d frames are held, want about 100", n)
		}
		closed(t, r, f)
	})
}

func TestTimelapse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path, Every: 10 * time.Second}, nil)
		f.roll(t, r, 30*95)
		closed(t, r, f)
	})
	var got []int64
	for _, p := range probe(t, path) {
		got = append(got, p.At)
	}
	if want := []int64{0, 33, 67, 100, 133, 167, 200, 233, 267, 300}; !slices.Equal(got, want) {
		t.Errorf("the frames are at %v ms, want %v", got, want)
	}
}

// old makes a segment that ended that long ago.
func old(t *testing.T, path string, size int, ago time.Duration) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, make([]byte, size), 0o600), os.Chtimes(path, time.Time{}, time.Now().Add(-ago))); err != nil {
		t.Fatal(err)
	}
}

func TestKeep(t *testing.T) {
	for name, c := range map[string]struct {
		keep Limit
		left []string
	}{
		"size":    {Limit{Size: 3500}, []string{"03.mkv", "04.mkv", "05.mkv", "x.mkv"}},
		"age":     {Limit{Time: 150 * time.Minute}, []string{"04.mkv", "05.mkv", "x.mkv"}},
		"both":    {Limit{Size: 1, Time: time.Minute}, []string{"05.mkv", "x.mkv"}},
		"nothing": {Limit{}, []string{"01.mkv", "02.mkv", "03.mkv", "04.mkv", "05.mkv", "x.mkv"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, file := range []string{"01.mkv", "02.mkv", "03.mkv", "04.mkv", "05.mkv"} {
				old(t, filepath.Join(dir, file), 1000, time.Duration(5-i)*time.Hour)
			}
			old(t, dir+"/x.mkv", 1000, 100*time.Hour) // another program's
			var log logged
			k := newKeeper(&names{path: dir + "/%d.mkv", pattern: true}, c.keep, log.log())
			k.deleteBeyondLimit(dir + "/05.mkv")
			if got := files(t, dir); !slices.Equal(got, c.left) {
				t.Errorf("left are %q, want %q\n%s", got, c.left, &log)
			}
			if n := strings.Count(log.String(), "\n"); n != 6-len(c.left) {
				t.Errorf("%d lines are logged:\n%s", n, &log)
			}
		})
	}
}

// TestKeepDirectories: of a directory only what a recorder has put there goes.
func TestKeepDirectories(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"/01", "/02"} {
		if err := os.Mkdir(dir+name, 0o700); err != nil {
			t.Fatal(err)
		}
		old(t, dir+name+"/00000001.jpg", 1000, time.Hour)
		old(t, dir+name+"/frames.csv", 100, time.Hour)
	}
	old(t, dir+"/02/diary.txt", 10, time.Hour)
	var log logged
	k := newKeeper(&names{path: dir + "/%d/", pattern: true}, Limit{Size: 1}, log.log())
	k.deleteBeyondLimit("")
	if got := files(t, dir); !slices.Equal(got, []string{"02"}) {
		t.Errorf("left are %q", got)
	}
	if got := files(t, dir+"/02"); !slices.Equal(got, []string{"diary.txt"}) {
		t.Errorf("in 02 are %q", got)
	}
	log.wantInOrder(t, "old segment removed", "remove an old segment")
}

// TestKeepLeavesNoEmptyDirectories that a pattern made, and no others go.
func TestKeepLeavesNoEmptyDirectories(t *testing.T) {
	dir := t.TempDir()
	for _, day := range []string{"/01", "/02"} {
		if err := os.MkdirAll(dir+day+"/23", 0o700); err != nil {
			t.Fatal(err)
		}
		old(t, dir+day+"/23/a59.mkv", 1000, time.Hour)
	}
	old(t, dir+"/02/diary.txt", 10, time.Hour)
	var log logged
	n := &names{path: dir + "/%d/%H/a%M.mkv", pattern: true}
	k := newKeeper(n, Limit{Size: 1}, log.log())
	k.deleteBeyondLimit("")
	if got := files(t, dir); !slices.Equal(got, []string{"02"}) {
		t.Errorf("left are %q", got)
	}
	if got := files(t, dir+"/02"); !slices.Equal(got, []string{"diary.txt"}) {
		t.Errorf("in 02 are %q", got)
	}
}

func TestStream(t *testing.T) {
	var out bytes.Buffer
	f := newFilm(yuyv)
	synctest.Test(t, func(t *testing.T) {
		f.start = time.Now()
		r := begin(t, Options{Out: &out, Path: "-"}, nil)
		f.roll(t, r, 40)
		r.Segment() // means nothing here
		r.Record(false)
		f.roll(t, r, 5)
		r.Record(true)
		f.roll(t, r, 5)
		closed(t, r, f)
	})
	path := filepath.Join(t.TempDir(), "a.mkv")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := probe(t, path); len(got) != 45 || got[40].Hash != hashOf(45, f.size) {
		t.Errorf("%d frames", len(got))
	}
}

// TestGaps: what is missing is reported with the next frame.
func TestGaps(t *testing.T) {
	d := &disk{}
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: t.TempDir() + "/a.mkv"}, d.create)
		f.roll(t, r, 1)
		for _, g := range []Gap{{Lost: capture.Lost{Driver: 2}}, {Link: 3, Break: true}, {}} {
			if err := r.Write(f.frame(time.Since(f.start)), g); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, r, f)
	})
	want := []string{"before frame 1: {2 0 0} ", "before frame 2: {0 0 0} 3 lost on the link, the connection was lost"}
	if !slices.Equal(d.gaps, want) {
		t.Errorf("noted are %q, want %q", d.gaps, want)
	}
}

// TestManyWriters is for the race detector.
func TestManyWriters(t *testing.T) {
	f := newFilm(yuyv)
	r := begin(t, Options{Path: t.TempDir() + "/a.mkv", Sync: 20 * time.Millisecond}, nil)
	frames := make([]*capture.Frame, 80)
	for i := range frames {
		frames[i] = f.frame(time.Duration(i) * time.Second / 30)
	}
	var writers sync.WaitGroup
	for part := range slices.Chunk(frames, 20) {
		writers.Go(func() {
			for _, frame := range part {
				if err := r.Write(frame, Gap{}); err != nil {
					t.Error(err)
				}
				r.Stats()
				r.Recording()
			}
			r.Segment()
		})
	}
	writers.Wait()
	writers.Go(func() { closed(t, r, f) })
	closed(t, r, f)
	writers.Wait()
	if s := r.Stats(); s.Frames != 80 {
		t.Errorf("%+v, want 80 frames", s)
	}
}

// BenchmarkWrite records 1080p JPEGs of a usual size.
func BenchmarkWrite(b *testing.B) {
	r := begin(b, Options{Path: b.TempDir() + "/a.mkv"}, nil)
	f := newFilm(yuyv)
	f.size = 300 << 10
	b.SetBytes(int64(f.size))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for f.pool.Outstanding() > 600 {
			time.Sleep(100 * time.Microsecond)
		}
		frame := f.pool.Get(f.size)
		frame.Format, frame.Time = capture.Format{Pixel: capture.MJPEG, Width: 1920, Height: 1080}, f.start.Add(time.Duration(i)*time.Second/30)
		if err := r.Write(frame, Gap{}); err != nil {
			b.Fatal(err)
		}
	}
	closed(b, r, f)
}

var _ container.Writer = (*failing)(nil)

// A recorder wakes up seldom while there is nothing to write, and in time where there is.
func TestIdleTicks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path}, nil)
		wantSlow := func(when string, want bool) {
			t.Helper()
			if synctest.Wait(); r.slow != want {
				t.Errorf("%s: the ticker is slow: %t, want %t", when, r.slow, want)
			}
		}
		time.Sleep(2 * r.period)
		wantSlow("before the first frame", true)
		f.roll(t, r, 30)
		wantSlow("recording", false)
		if s := r.Stats(); s.Frames == 0 {
			t.Error("no frame is on the disk after a second")
		}
		r.Record(false)
		time.Sleep(3 * r.period)
		wantSlow("stopped", true)
		if s := r.Stats(); s.File != "" || s.Frames != 30 {
			t.Errorf("stopped: %+v", s)
		}
		closed(t, r, f)
	})
}
