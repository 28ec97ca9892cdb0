package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/container"
)

// disk makes files on which every operation first asks fault.
type disk struct {
	mu    sync.Mutex
	fault func(op string) error
	gaps  []string
}

func (d *disk) set(fault func(op string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

func (d *disk) ask(op string) error {
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(op)
}

func (d *disk) create(path string, o container.Options) (container.Writer, error) {
	if err := d.ask("create"); err != nil {
		return nil, err
	}
	w, err := container.Create(path, o)
	return &failing{Writer: w, disk: d}, err
}

// failing is a file of a disk.
type failing struct {
	container.Writer
	disk   *disk
	frames int
}

func (f *failing) Write(frame *capture.Frame, t time.Duration) error {
	err := f.disk.ask("write")
	if err == nil {
		err = f.Writer.Write(frame, t)
	}
	if err == nil {
		f.frames++
	}
	return err
}

func (f *failing) Gap(lost capture.Lost, text string) error {
	f.disk.gaps = append(f.disk.gaps, fmt.Sprintf("before frame %d: %v %s", f.frames, lost, text))
	return f.Writer.Gap(lost, text)
}

func (f *failing) Sync() error {
	if err := f.disk.ask("sync"); err != nil {
		return err
	}
	return f.Writer.Sync()
}

// TestSlowDisk: as long as the memory lasts, a disk that takes seconds for each
// sync costs no frame.
func TestSlowDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	d := &disk{fault: func(op string) error {
		if op == "sync" {
			time.Sleep(5 * time.Second)
		}
		return nil
	}}
	var log logged
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path, Log: log.log()}, d.create)
		f.roll(t, r, 1000)
		closed(t, r, f)
		wantFrames(t, path, f.size, 0, 999)
	})
	if want := "recorded " + path + ": 0:33, 1000 frames, 1.0 MB"; strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), want) {
		t.Errorf("got: %s, want %q alone", &log, want)
	}
}

// TestTooSlowDisk: it is logged at half the memory, when frames are dropped, and
// when it is over; what is missing is noted in the file.
func TestTooSlowDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	var log logged
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		d := &disk{}
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path, Log: log.log(), Buffer: 60 * leastCost}, d.create)
		f.roll(t, r, 30) // a second
		d.set(func(string) error { <-hang; return nil })
		f.roll(t, r, 14)
		if log.String() != "" {
			t.Errorf("too early: %s", &log)
		}
		f.roll(t, r, 20)
		log.wantInOrder(t, "disk is slow")
		if s := r.Stats(); s.Dropped > 0 {
			t.Errorf("%+v", s)
		}
		f.roll(t, r, 45)
		log.wantInOrder(t, "disk is slow", "disk is too slow")
		dropped := r.Stats().Dropped
		d.set(nil)
		close(hang)
		synctest.Wait()
		f.roll(t, r, 30)
		log.wantInOrder(t, "disk is slow", "disk is too slow", fmt.Sprintf("disk has caught up\" dropped=%d", dropped))
		closed(t, r, f)
		s := r.Stats()
		if s.Dropped != dropped || s.Frames+dropped != uint64(f.shown) || dropped < 15 || dropped > 35 {
			t.Errorf("%+v of %d frames", s, f.shown)
		}
		want := fmt.Sprintf("{0 0 0} %d dropped, since the disk was too slow or full", dropped)
		if len(d.gaps) != 1 || !strings.HasSuffix(d.gaps[0], want) {
			t.Errorf("noted are %q, want %q", d.gaps, want)
		}
	})
	if n := strings.Count(log.String(), "\n"); n != 4 { // with what was recorded
		t.Errorf("%d lines are logged:\n%s", n, &log)
	}
}

// TestFullForAWhile: at any operation, for longer than some retries, it costs
// nothing, and the same file goes on.
func TestFullForAWhile(t *testing.T) {
	for _, op := range []string{"create", "write", "sync"} {
		t.Run(op, func(t *testing.T) {
			dir := t.TempDir()
			var log logged
			synctest.Test(t, func(t *testing.T) {
				full := &fs.PathError{Op: "write", Path: dir, Err: syscall.ENOSPC}
				fault := func(now string) error {
					if now == op {
						return full
					}
					return nil
				}
				d := &disk{}
				f := newFilm(yuyv)
				r := begin(t, Options{Path: dir + "/a.mkv", Log: log.log()}, d.create)
				if op == "create" {
					d.set(fault)
				}
				f.roll(t, r, 50)
				d.set(fault)
				f.roll(t, r, 100)
				if s := r.Stats(); s.Problem == "" || s.Dropped > 0 {
					t.Errorf("%+v", s)
				}
				d.set(nil)
				f.roll(t, r, 50)
				if s := r.Stats(); s.Problem != "" {
					t.Errorf("%+v", s)
				}
				closed(t, r, f)
				wantFrames(t, dir+"/a.mkv", f.size, 0, 199)
			})
			log.wantInOrder(t, "stalled", "no space left on device", "recording resumed")
			if n := strings.Count(log.String(), "\n"); n != 3 { // with what was recorded
				t.Errorf("%d lines are logged:\n%s", n, &log)
			}
		})
	}
}

// TestFullMakesRoom: where old segments may go, a full disk holds nothing up.
func TestFullMakesRoom(t *testing.T) {
	dir := t.TempDir()
	var log logged
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"/1999.mkv", "/1998.mkv", "/1997.mkv"} {
			old(t, dir+name, 1000, time.Hour)
		}
		d := &disk{fault: func(string) error {
			if len(files(t, dir)) > 2 {
				return syscall.ENOSPC
			}
			return nil
		}}
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/%Y.mkv", Keep: Limit{Size: 1e9}, Log: log.log()}, d.create)
		f.roll(t, r, 100)
		if s := r.Stats(); s.Problem != "" || s.Frames < 80 {
			t.Errorf("%+v", s)
		}
		closed(t, r, f)
		wantFrames(t, dir+"/2000.mkv", f.size, 0, 99)
	})
	log.wantInOrder(t, "old segment removed", "1997", "1998")
	if strings.Contains(log.String(), "stalled") {
		t.Errorf("got:\n%s", &log)
	}
}

// TestFullToTheEnd: Close returns it, and what was on the disk before stays.
func TestFullToTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path}, d.create)
		f.roll(t, r, 60)
		time.Sleep(time.Second)
		synctest.Wait()
		d.set(func(string) error { return syscall.ENOSPC })
		f.roll(t, r, 40)
		if err := r.Close(); !errors.Is(err, syscall.ENOSPC) || r.Close() != err {
			t.Errorf("Close: %v", err)
		}
		wantReleased(t, r, f)
		if s := r.Stats(); s.Frames != 60 || s.Dropped != 40 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		wantFrames(t, path, f.size, 0, 59)
	})
}

// TestFailingFile: another error than a full disk is one of this file, so that
// another takes all that is not safe in it.
func TestFailingFile(t *testing.T) {
	dir := t.TempDir()
	var log logged
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mkv", Log: log.log()}, d.create)
		f.roll(t, r, 60)
		safe := int(r.Stats().Frames)
		d.set(func(op string) error {
			if op != "sync" {
				return nil
			}
			d.set(nil)
			return syscall.EIO
		})
		f.roll(t, r, 60)
		closed(t, r, f)
		wantFrames(t, dir+"/a-2.mkv", f.size, safe, 119)
		if got := probe(t, dir+"/a.mkv"); len(got) < safe {
			t.Errorf("%d frames are in the first file, want at least %d", len(got), safe)
		}
	})
	log.wantInOrder(t, "stalled", "input/output error", "recording resumed", "a-2.mkv")
}

// TestRemoved: the recording goes on when the directory is back, with all that
// was not safe by then.
func TestRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "videos")
	var log logged
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		r := begin(t, Options{Path: dir + "/a.mkv", Log: log.log()}, nil)
		f.roll(t, r, 60)
		safe := int(r.Stats().Frames)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		f.roll(t, r, 60)
		log.wantInOrder(t, "stalled", "file was removed")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f.roll(t, r, 60)
		log.wantInOrder(t, "recording resumed", "a-2.mkv")
		closed(t, r, f)
		wantFrames(t, dir+"/a-2.mkv", f.size, safe, 179)
	})
	if n := strings.Count(log.String(), "\n"); n != 3 { // with what was recorded
		t.Errorf("%d lines are logged:\n%s", n, &log)
	}
}

// TestMoved: a file that was moved away is complete as far as it goes.
func TestMoved(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mkv"}, nil)
		f.roll(t, r, 60)
		safe := int(r.Stats().Frames)
		if err := os.Rename(dir+"/a.mkv", dir+"/mine.mkv"); err != nil {
			t.Fatal(err)
		}
		f.roll(t, r, 60)
		closed(t, r, f)
		wantFrames(t, dir+"/a-2.mkv", f.size, safe, 119)
		if got := probe(t, dir+"/mine.mkv"); len(got) < safe {
			t.Errorf("%d frames are in the file that was moved, want at least %d", len(got), safe)
		}
	})
}

// TestWrongFrames: what a container cannot hold ends the recording with the
// reason, once.
func TestWrongFrames(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mp4", Kind: container.MP4}, nil)
		if err := r.Write(f.frame(0), Gap{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		err := r.Write(f.frame(0), Gap{})
		if !errors.Is(err, container.ErrJPEGOnly) || r.Recording() {
			t.Errorf("Write: %v", err)
		}
		if closing := r.Close(); closing != err {
			t.Errorf("Close: %v, want %v", closing, err)
		}
		wantReleased(t, r, f)
	})
	if got := files(t, dir); got != nil {
		t.Errorf("left behind: %q", got)
	}
}

// TestBrokenPipe: who reads standard output has gone, or the frames changed.
func TestBrokenPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		read, write := io.Pipe()
		read.CloseWithError(syscall.EPIPE)
		r := begin(t, Options{Out: write}, nil)
		for err := error(nil); !errors.Is(err, syscall.EPIPE); time.Sleep(time.Second) {
			if err = r.Write(f.frame(time.Since(f.start)), Gap{}); time.Since(f.start) > time.Minute {
				t.Fatalf("after a minute: %v", err)
			}
		}
		r.Close()
		wantReleased(t, r, f)

		f = newFilm(yuyv)
		r = begin(t, Options{Out: io.Discard}, nil)
		f.roll(t, r, 2)
		f.format = uyvy
		_ = r.Write(f.frame(time.Second), Gap{})
		if err := r.Close(); !errors.Is(err, ErrFormatChanged) {
			t.Errorf("Close: %v", err)
		}
		wantReleased(t, r, f)
	})
}

// TestBusyFile: what another recorder writes is not overwritten, not even when
// that has ended.
func TestBusyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: path}, nil)
		f.roll(t, r, 10)
		second := begin(t, Options{Path: path, Force: true}, nil)
		if err := second.Write(f.frame(0), Gap{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		closed(t, r, f)
		if err := second.Close(); !errors.Is(err, container.ErrBusy) {
			t.Errorf("Close: %v", err)
		}
		wantFrames(t, path, f.size, 0, 9)
	})
}

// TestManyFaults makes a disk fail in all ways at random: each frame is in a file,
// and each file has frames that follow one another.
func TestManyFaults(t *testing.T) {
	for range 4 {
		seed := uint64(time.Now().UnixNano())
		random := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			t.Logf("seed %d", seed)
			var bad error
			d := &disk{}
			faults := func(string) error {
				switch random.IntN(40) {
				case 0:
					bad = syscall.ENOSPC
				case 1:
					bad = syscall.EIO
				case 2:
					time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
				default:
					if random.IntN(3) == 0 {
						bad = nil
					}
				}
				return bad
			}
			f := newFilm(yuyv)
			r := begin(t, Options{Path: dir + "/a.mkv"}, d.create)
			d.set(faults)
			f.roll(t, r, 900)
			d.set(nil)
			f.roll(t, r, 30)
			closed(t, r, f)
			if s := r.Stats(); s.Frames != 930 || s.Dropped > 0 {
				t.Errorf("%+v", s)
			}
			wantCovered(t, dir, f)
		})
	}
}

// wantCovered fails the test unless the files begin no later than the ones before
// have ended, and have all frames together.
func wantCovered(t *testing.T, dir string, f *film) {
	t.Helper()
	number := make(map[string]int)
	for i := range f.shown {
		number[hashOf(i, f.size)] = i
	}
	next := 0
	for part := 1; next < f.shown; part++ {
		path := fmt.Sprintf("%s/a-%d.mkv", dir, part)
		if part == 1 {
			path = dir + "/a.mkv"
		}
		if _, err := os.Stat(path); err != nil && part < 1000 {
			continue // no frame had come to it
		}
		got := probe(t, path)
		first := number[got[0].Hash]
		if first > next {
			t.Fatalf("%s begins with frame %d, %d is missing", path, first, next)
		}
		for i, p := range got {
			if number[p.Hash] != first+i {
				t.Fatalf("%s: after frame %d comes %d", path, first+i-1, number[p.Hash])
			}
		}
		next = max(next, first+len(got))
	}
}

// TestFatalErrors: what waiting cannot fix ends the recording with its reason.
func TestFatalErrors(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EISDIR, syscall.ENOTDIR} {
		synctest.Test(t, func(t *testing.T) {
			f := newFilm(yuyv)
			d := &disk{fault: func(op string) error {
				if op != "create" {
					return nil
				}
				return &fs.PathError{Op: "open", Path: "a.mkv", Err: errno}
			}}
			r := begin(t, Options{Path: t.TempDir() + "/a.mkv"}, d.create)
			if err := r.Write(f.frame(0), Gap{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := r.Write(f.frame(0), Gap{}); !errors.Is(err, errno) {
				t.Errorf("Write: %v, want %v", err, errno)
			}
			if err := r.Close(); !errors.Is(err, errno) {
				t.Errorf("Close: %v, want %v", err, errno)
			}
			wantReleased(t, r, f)
		})
	}
}

// TestImpossibleFormat: a frame that no file can hold is missing, and that is all.
func TestImpossibleFormat(t *testing.T) {
	dir := t.TempDir()
	d := &disk{}
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mkv"}, d.create)
		f.roll(t, r, 10)
		f.format.Width = 0
		f.roll(t, r, 1)
		f.format = yuyv
		f.roll(t, r, 10)
		closed(t, r, f)
		if s := r.Stats(); s.Frames != 20 || s.Files != 1 {
			t.Errorf("%+v", s)
		}
	})
	if want := []string{"before frame 10: {0 1 0} "}; !slices.Equal(d.gaps, want) {
		t.Errorf("noted are %q, want %q", d.gaps, want)
	}
}

// TestNoEmptyFile: whatever keeps frames from a file, none is left without any.
func TestNoEmptyFile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		fail := false
		d := &disk{fault: func(op string) error {
			if fail = !fail; op == "write" && fail {
				return syscall.EIO
			}
			return nil
		}}
		f := newFilm(yuyv)
		r := begin(t, Options{Path: dir + "/a.mkv"}, d.create)
		for i := range 40 { // another format with each frame
			f.format = []capture.Format{yuyv, uyvy}[i%2]
			f.roll(t, r, 1)
		}
		d.set(nil)
		closed(t, r, f)
	})
	for _, name := range files(t, dir) {
		if len(probe(t, filepath.Join(dir, name))) == 0 {
			t.Errorf("%s has no frame", name)
		}
	}
}
