package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink"
)

// newSnapshots returns the sink of --snapshot, and a function that returns a frame
// of this brightness, captured so long from now.
func newSnapshots(c snapshotConfig) (s *snapshotOutput, frame func(luma byte, after time.Duration) *capture.Frame, pool *capture.Pool, ended context.Context) {
	ended, done := context.WithCancel(context.Background())
	c.log, c.taken = slog.New(slog.DiscardHandler), func(error) { done() }
	s = newSnapshotOutput(c)
	pool = &capture.Pool{}
	return s, func(luma byte, after time.Duration) *capture.Frame {
		f := pool.Get(16 * 16)
		for i := range f.Data {
			f.Data[i] = luma
		}
		f.Format = capture.Format{Pixel: capture.GREY, Width: 16, Height: 16}
		f.Time = time.Now().Add(after)
		return f
	}, pool, ended
}

// TestSnapshotOfOneFrame: where no other comes, it is the frame, 1.5 s later.
func TestSnapshotOfOneFrame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.png")
	synctest.Test(t, func(t *testing.T) {
		s, frame, pool, ended := newSnapshots(snapshotConfig{path: file, skip: -1})
		if err := s.Present(frame(100, 0)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(warmupTime - time.Millisecond)
		if _, err := os.Stat(file); err == nil {
			t.Error("it is taken too early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if _, err := os.Stat(file); err != nil || ended.Err() == nil {
			t.Errorf("%v, the run has ended: %v", err, ended.Err())
		}
		if err := s.Present(frame(100, 0)); !errors.Is(err, sink.ErrDone) {
			t.Errorf("the next frame: %v", err)
		}
		if err := s.Close(); err != nil || pool.Outstanding() != 0 {
			t.Errorf("%v, %d frames are not released", err, pool.Outstanding())
		}
	})
}

// TestSnapshotsOfFarTimes: a frame that claims to be ten years ahead delays no
// frame.
func TestSnapshotsOfFarTimes(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, frame, pool, _ := newSnapshots(snapshotConfig{path: filepath.Join(dir, "%H%M%S.png"), every: time.Minute})
		for i := range 300 {
			after := time.Duration(0)
			if i == 30 {
				after = 10 * 365 * 24 * time.Hour
			}
			if err := s.Present(frame(100, after)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if err := s.Close(); err != nil || pool.Outstanding() != 0 {
			t.Errorf("%v, %d frames are not released", err, pool.Outstanding())
		}
	})
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 5 || len(files) > 7 {
		t.Errorf("%d frames of five minutes, %v", len(files), err)
	}
}
