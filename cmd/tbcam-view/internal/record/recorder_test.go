package record

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// TestFlushedWithinASecond: also when no further frame pushes it.
func TestFlushedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, filepath.Join(t.TempDir(), "a.mkv"), Options{})
		film := newFilm(mjpeg)
		for i := range 3 {
			film.roll(t, r, 1)
			time.Sleep(syncInterval)
			synctest.Wait()
			if s := r.Stats(); s.Frames != uint64(i+1) || s.Queued != 0 {
				t.Errorf("after a second: %+v, want %d frames written", s, i+1)
			}
		}
		closed(t, r)
		film.allReleased(t)
	})
}

// TestClusterPerSecond: the timer and the frames' own times do not make twice as
// many clusters.
func TestClusterPerSecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	synctest.Test(t, func(t *testing.T) {
		r := start(t, path, Options{})
		film := newFilm(mjpeg)
		for range 300 {
			film.roll(t, r, 1)
			time.Sleep(time.Second / 30)
		}
		closed(t, r)
	})
	p, _ := parse(t, path)
	if n := len(p.Segment.Cluster); n > 11 {
		t.Errorf("%d clusters for 10 s", n)
	}
}

// TestNoCaptureTime: pictures of a plain stream have only a time of arrival.
func TestNoCaptureTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	r := start(t, path, Options{})
	film := newFilm(mjpeg)
	for i := range 3 {
		f := film.frame(time.Duration(i) * 40 * time.Millisecond)
		f.At[capture.Received], f.Time = f.Time, time.Time{}
		if err := r.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, r)
	wantPackets(t, path, film.want)
}

func TestExistingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Create(path, Options{})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("Create returned %v, want that it exists and --force", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Fatal("the existing file was touched")
	}
	r := start(t, path, Options{Force: true})
	film := newFilm(mjpeg)
	film.roll(t, r, 5)
	closed(t, r)
	wantPackets(t, path, film.want)
}

func TestCreateRefuses(t *testing.T) {
	for _, name := range []string{"a.avi", "a", "missing/a.mkv"} {
		dir := t.TempDir()
		r, err := Create(filepath.Join(dir, name), Options{})
		if r != nil || err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v, want an error in one line", name, r, err)
		}
		if got := files(t, dir); got != nil {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

func TestFormatChange(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "a-2.mkv")
	if err := os.WriteFile(taken, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, lines := logged()
	r := start(t, filepath.Join(dir, "a.mkv"), Options{Log: log})
	films := []*film{newFilm(mjpeg), newFilm(yuyv), newFilm(mjpeg)}
	for i, f := range films {
		f.roll(t, r, 40+i)
	}
	closed(t, r)
	for i, name := range []string{"a.mkv", "a-3.mkv", "a-4.mkv"} {
		wantPackets(t, filepath.Join(dir, name), films[i].want)
		films[i].allReleased(t)
	}
	if b, _ := os.ReadFile(taken); string(b) != "precious" {
		t.Error("a file of somebody else was touched")
	}
	if n := strings.Count(lines.String(), "\n"); n != 2 {
		t.Errorf("%d log lines, want 2:\n%s", n, lines)
	}
	if got := r.Stats().Frames; got != 123 {
		t.Errorf("%d frames, want 123", got)
	}
}

func TestFormatChangeForced(t *testing.T) {
	dir := t.TempDir()
	second := filepath.Join(dir, "a-2.mkv")
	if err := os.WriteFile(second, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, filepath.Join(dir, "a.mkv"), Options{Force: true})
	newFilm(mjpeg).roll(t, r, 3)
	film := newFilm(yuyv)
	film.roll(t, r, 3)
	closed(t, r)
	wantPackets(t, second, film.want)
}

// TestFormatChangeFails: the file before stays, the frames after are lost.
func TestFormatChangeFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.mkv")
	if err := os.Mkdir(filepath.Join(dir, "a-2.mkv"), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := prepare(path, Options{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	first, second := newFilm(mjpeg), newFilm(yuyv)
	first.roll(t, r, 3)
	second.roll(t, r, 4)
	go r.run()
	if err := r.Close(); err == nil {
		t.Error("Close returned no error")
	}
	wantPackets(t, path, first.want)
	second.allReleased(t)
	if s := r.Stats(); s.Frames != 3 || s.Dropped != 4 || s.Queued != 0 {
		t.Errorf("%+v, want 3 frames written and 4 dropped", s)
	}
}

func TestNoFrames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	closed(t, start(t, path, Options{}))
	if !gone(path) {
		t.Error("an empty file is left")
	}
}

func TestClosed(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "a.mkv"), Options{})
	film := newFilm(mjpeg)
	film.roll(t, r, 1)
	closed(t, r)
	closed(t, r)
	if err := r.Write(film.frame(0)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	film.allReleased(t)
}

// TestQueueFull stops the disk: the goroutine that writes starts only later.
func TestQueueFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	log, lines := logged()
	film := newFilm(yuyv)
	synctest.Test(t, func(t *testing.T) {
		first := film.frame(0)
		r, err := prepare(path, Options{QueueBytes: 3*cap(first.Data) + 1, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write(first); err != nil {
			t.Fatal(err)
		}
		film.roll(t, r, 9)
		if s := r.Stats(); s.Queued != 3 || s.Dropped != 7 || film.pool.Outstanding() != 3 {
			t.Errorf("%+v with %d frames held, want 3 queued and 7 dropped", s, film.pool.Outstanding())
		}
		go r.run()
		synctest.Wait()
		film.roll(t, r, 3) // there is room again
		closed(t, r)
	})
	wantPackets(t, path, slices.Delete(film.want, 3, 10))
	film.allReleased(t)
	if n := strings.Count(lines.String(), "\n"); n != 1 {
		t.Errorf("%d log lines, want 1:\n%s", n, lines)
	}
}

// TestManyWriters is for the race detector.
func TestManyWriters(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "a.mkv"), Options{})
	var writers sync.WaitGroup
	films := make([]*film, 4)
	for i := range films {
		films[i] = newFilm(mjpeg)
		writers.Go(func() {
			films[i].roll(t, r, 20)
			r.Stats()
		})
	}
	writers.Wait()
	writers.Go(func() { closed(t, r) })
	closed(t, r)
	writers.Wait()
	if s := r.Stats(); s.Frames != 80 {
		t.Errorf("%+v, want 80 frames", s)
	}
	if i := slices.IndexFunc(films, func(f *film) bool { return f.pool.Outstanding() != 0 }); i >= 0 {
		t.Errorf("frames of writer %d are not released", i)
	}
}

// BenchmarkWrite writes 1080p JPEGs of a usual size.
func BenchmarkWrite(b *testing.B) {
	r := start(b, filepath.Join(b.TempDir(), "a.mkv"), Options{})
	var pool capture.Pool
	data := bytes.Repeat([]byte{1}, 300<<10)
	begin := time.Now()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for pool.Outstanding() > 8 {
			time.Sleep(100 * time.Microsecond)
		}
		f := pool.Get(len(data))
		f.Format = mjpeg
		f.Time = begin.Add(time.Duration(i) * time.Second / 30)
		if err := r.Write(f); err != nil {
			b.Fatal(err)
		}
	}
	closed(b, r)
}
