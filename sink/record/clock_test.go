package record

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/sink/container"
)

// wallClock is a clock that is set while it runs.
type wallClock struct{ step atomic.Int64 }

func (c *wallClock) at(moment time.Time) time.Time {
	return WallTime(moment).Add(time.Duration(c.step.Load()))
}

// set makes it show a time.
func (c *wallClock) set(to time.Time) { c.step.Store(int64(time.Until(to))) }

// tagged notes the starts that files are tagged with.
type tagged struct {
	mu     sync.Mutex
	starts []string
}

func (g *tagged) create(path string, o container.Options) (container.Writer, error) {
	w, err := container.Create(path, o)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.starts = append(g.starts, o.Tags.Start.UTC().Format("2006-01-02-150405"))
	}
	return w, err
}

// TestClockSteps: a host that begins in 1970 learns the time, and once more when
// it was set wrongly. Names and tags are by the clock of their time, files are as
// old as they are, and what this process wrote goes when that is too old.
func TestClockSteps(t *testing.T) {
	dir := t.TempDir()
	var clock wallClock
	var got tagged
	synctest.Test(t, func(t *testing.T) {
		r, err := newRecorder(Options{Path: dir + "/%F-%H%M%S.mkv", Segment: Limit{Time: 10 * time.Second}, Keep: Limit{Time: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		r.create, r.wall, r.keeper.wall = got.create, clock.at, clock.at
		go r.writeLoop()
		f := newFilm(yuyv)
		second := func(n int) {
			for range n {
				if err := r.Write(f.frame(time.Since(f.start)), Gap{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			synctest.Wait()
		}
		for _, now := range []string{"1970-01-01-000030", "2026-11-29-120000", "2036-01-01-000000", "2026-11-29-120100"} {
			to, err := time.ParseInLocation("2006-01-02-150405", now, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			clock.set(to)
			second(20)
		}
		want := []string{
			"1970-01-01-000030", "1970-01-01-000040", "2026-11-29-120000", "2026-11-29-120010",
			"2036-01-01-000000", "2036-01-01-000010", "2026-11-29-120100", "2026-11-29-120110",
		}
		if !slices.Equal(got.starts, want) {
			t.Errorf("tagged are %q, want %q", got.starts, want)
		}
		time.Sleep(2 * lookEvery)
		wantFileTimes(t, dir, clock.at(time.Now()), want)
		time.Sleep(time.Hour)
		synctest.Wait()
		if left := files(t, dir); len(left) != 1 { // the newest
			t.Errorf("after an hour %q are left", left)
		}
		closed(t, r, f)
	})
}

// wantFileTimes fails the test unless the files are named so, and were changed within
// the last five minutes.
func wantFileTimes(t *testing.T, dir string, now time.Time, starts []string) {
	t.Helper()
	var want []string
	for _, s := range starts {
		at, err := time.ParseInLocation("2006-01-02-150405", s, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, at.Local().Format("2006-01-02-150405")+".mkv")
	}
	complete := slices.Clone(want[:len(want)-1]) // the time of the one that is being written is the disk's
	slices.Sort(want)
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	for _, name := range complete {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if age := now.Sub(info.ModTime()); age < -time.Second || age > 5*time.Minute {
			t.Errorf("%s was changed at %v, it is %v", name, info.ModTime(), now)
		}
	}
}

// TestWallTime: a moment of before, and one that has not come yet.
func TestWallTime(t *testing.T) {
	now := time.Now()
	for after, want := range map[time.Duration]time.Duration{-time.Hour: -time.Hour, 0: 0, 100000 * time.Hour: 0} {
		got := WallTime(now.Add(after))
		if d := got.Sub(now.Round(0)) - want; d.Abs() > time.Minute {
			t.Errorf("%v after now is %v, now is %v", after, got, now)
		}
		if strings.Contains(got.String(), "m=") {
			t.Error("it has a monotonic clock's time")
		}
	}
}

// TestKeepOfFarTimes: times of capture that are wrong by a year make no file old.
func TestKeepOfFarTimes(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		f.start = f.start.Add(-365 * 24 * time.Hour)
		r := begin(t, Options{Path: dir + "/%F-%H%M%S.mkv", Segment: Limit{Time: 10 * time.Second}, Keep: Limit{Time: 30 * 24 * time.Hour}}, nil)
		start := time.Now()
		for range 60 {
			if err := r.Write(f.frame(time.Since(start)), Gap{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		closed(t, r, f)
	})
	if got := files(t, dir); len(got) != 6 {
		t.Errorf("left are %q", got)
	}
}

// TestKeepOrder: files of before go first, even if the clock has made them younger.
func TestKeepOrder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"/01.mkv", "/02.mkv", "/03.mkv", "/04.mkv"} {
		old(t, dir+name, 1000, time.Minute)
	}
	k := newKeeper(&names{path: dir + "/%d.mkv", pattern: true}, Limit{Size: 2500, Time: time.Hour}, new(logged).log())
	for _, name := range []string{"/01.mkv", "/02.mkv"} {
		old(t, dir+name, 1000, 50*365*24*time.Hour)
		k.noteCompleted(dir+name, time.Now())
	}
	k.deleteBeyondLimit("")
	if got := files(t, dir); !slices.Equal(got, []string{"01.mkv", "02.mkv"}) {
		t.Errorf("left are %q", got)
	}
}

// TestFarTimes: one frame ten years ahead or behind stops no schedule, in any
// order.
func TestFarTimes(t *testing.T) {
	const far = 10 * 365 * 24 * time.Hour
	for _, by := range []time.Duration{far, -far} {
		for name, at := range map[string]int{"first": 0, "middle": 45} {
			dir := t.TempDir()
			run := func(o Options) Stats {
				var s Stats
				synctest.Test(t, func(t *testing.T) {
					f := newFilm(yuyv)
					r := begin(t, o, nil)
					for i := range 120 {
						after := time.Since(f.start)
						if i == at {
							after += by
						}
						if err := r.Write(f.frame(after), Gap{}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Second / 4)
					}
					if n := f.pool.Outstanding(); n > 20 {
						t.Errorf("%v, %s: %d frames are held", by, name, n)
					}
					if o.Waiting {
						r.Record(true)
						f.roll(t, r, 1)
					}
					closed(t, r, f)
					s = r.Stats()
				})
				return s
			}
			if s := run(Options{Path: dir + "/a.mkv", Every: 5 * time.Second}); s.Frames < 6 || s.Frames > 9 {
				t.Errorf("%v, %s: the timelapse has %d frames, want 6 or so", by, name, s.Frames)
			}
			if s := run(Options{Path: dir + "/%H%M%S.mkv", Segment: Limit{Time: 5 * time.Second}}); s.Frames != 120 || s.Files < 6 || s.Files > 9 {
				t.Errorf("%v, %s: %d frames in %d segments, want 6 or so", by, name, s.Frames, s.Files)
			}
			if s := run(Options{Path: dir + "/b.mkv", Waiting: true, PreRoll: 2 * time.Second}); s.Frames < 8 || s.Frames > 10 {
				t.Errorf("%v, %s: recorded from before are %d frames, want 8 or so", by, name, s.Frames)
			}
		}
	}
}
