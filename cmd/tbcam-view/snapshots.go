package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/sink/snapshot"
)

// registerSnapshots adds the flags of snapshots, and how long one is waited for.
func (o *options) registerSnapshots(f *pflag.FlagSet) {
	f.StringVar(&o.snapshot, "snapshot", "", "write one picture to `FILE.png` or FILE.jpg and end; - is standard output (PNG)")
	f.DurationVar(&o.snapshotEvery, "snapshot-every", 0, "write a picture that often instead; %Y %m %d %H %M %S in FILE.png tell the time")
	f.IntVar(&o.snapshotSkip, "skip", -1, "skip `N` frames before the first snapshot, instead of waiting until the camera's exposure has settled")
	o.timeout.Register(f)
}

// checkSnapshots refuses flags of snapshots that cannot work.
func (o *options) checkSnapshots() error {
	switch {
	case o.snapshotEvery < 0:
		return errors.New("--snapshot-every must not be negative")
	case o.snapshot == "" && o.snapshotEvery > 0:
		return errors.New("--snapshot-every needs --snapshot FILE.png, in whose name %Y %m %d %H %M %S tell the time")
	case o.snapshot == "" && o.snapshotSkip >= 0:
		return errors.New("--skip needs --snapshot FILE.png")
	case o.snapshotSkip < -1:
		return errors.New("--skip must not be negative")
	case o.snapshot == "":
		return nil
	}
	if isStdout(o.snapshot) {
		return o.checkSnapshotToStdout()
	}
	if err := snapshot.CheckName(o.snapshot); err != nil {
		return fmt.Errorf("--snapshot %w", err)
	}
	if o.snapshotEvery == 0 {
		return nil
	}
	if err := record.CheckPattern(o.snapshot); err != nil {
		return fmt.Errorf("--snapshot %s: %w", o.snapshot, err)
	}
	return nil
}

func (o *options) checkSnapshotToStdout() error {
	o.snapshot = snapshot.Stdout
	switch {
	case o.snapshotEvery > 0:
		return errors.New("--snapshot-every needs --snapshot FILE.png; standard output takes one picture")
	case isStdout(o.record.path):
		return errors.New("--snapshot -: the recording goes to standard output")
	case term.IsTerminal(int(os.Stdout.Fd())):
		return errors.New("--snapshot -: standard output is a terminal; redirect it to a file or a pipe")
	}
	return nil
}

// snapshots is the sink that writes one picture and ends the run or, with
// --snapshot-every, one now and then, each to a file of its own or, with --force
// and a name without time, to the same one.
type snapshots struct {
	v        *viewer
	pattern  string
	schedule record.Schedule

	mu      sync.Mutex // held while a picture is written, too
	shots   snapshotHistory      // only its JPEGs are used
	warm    bool
	warmup  warmup
	limit   *time.Timer    // of the warm-up
	newest  *capture.Frame // that came while the camera warmed up
	done    bool           // no more are wanted
	failing bool
}

// addSnapshot adds the sink of --snapshot.
func (v *viewer) addSnapshot(measure func(*capture.Frame)) error {
	s := &snapshots{v: v, pattern: v.o.snapshot, warmup: warmup{skip: v.o.snapshotSkip}}
	if v.o.snapshotEvery > 0 {
		s.schedule.Every = v.o.snapshotEvery
		if !v.o.force {
			s.pattern = record.Pattern(s.pattern)
		}
	}
	if err := s.check(); err != nil {
		return err
	}
	if snapshot.IsJPEG(s.pattern) && v.o.transform.Identity() {
		v.fanout.Tap(s.received)
	}
	v.demand.need(true)
	return v.fanout.Add("snapshot", func() (sink.Sink, error) { return s, nil }, measure)
}

// check reports what will keep a picture from being written.
func (s *snapshots) check() error {
	path := s.path(time.Now())
	if err := snapshot.Check(path, s.v.o.force); err != nil || path == snapshot.Stdout {
		return err
	}
	if err := record.CheckName(path); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// path returns the file of a picture that was captured at this moment.
func (s *snapshots) path(at time.Time) string {
	if s.v.o.snapshotEvery == 0 {
		return s.pattern
	}
	return record.Expand(s.pattern, record.WallTime(at).Local())
}

// received takes a frame as it came, which may be the file that is wanted.
func (s *snapshots) received(f *capture.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		f.Release()
		return
	}
	s.shots.received(f)
}

// Present implements sink.Sink.
func (s *snapshots) Present(f *capture.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.warm {
		s.keep(f)
		if !s.warmup.over(luminance{time.Now(), meanLuminance(f)}) {
			return nil
		}
		s.settled()
	} else {
		s.take(f)
	}
	if s.done {
		return sink.ErrDone
	}
	return nil
}

// keep takes over a frame that comes while the camera warms up. With the first one
// begins the time that this may take, also if no other comes.
func (s *snapshots) keep(f *capture.Frame) {
	if s.newest != nil {
		s.newest.Release()
	} else if s.v.o.snapshotSkip < 0 {
		s.limit = time.AfterFunc(warmupTime, s.timeout)
	}
	s.newest = f
}

// timeout ends the warm-up.
func (s *snapshots) timeout() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.warm {
		s.settled()
	}
}

// settled ends the warm-up with the newest frame.
func (s *snapshots) settled() {
	s.warm = true
	if f := s.newest; f != nil {
		s.newest = nil
		s.take(f)
	}
}

// take writes a frame if it is due.
func (s *snapshots) take(f *capture.Frame) {
	defer f.Release()
	switch {
	case s.done:
	case s.v.o.snapshotEvery == 0:
		s.done = true
		s.v.snapshotTaken(s.write(f))
	case s.schedule.Due(f.Time):
		s.report(s.write(f))
	}
}

// write writes a frame.
func (s *snapshots) write(f *capture.Frame) error {
	path := s.path(f.Time)
	if err := snapshot.Check(path, s.v.o.force); err != nil {
		return err
	}
	jpeg := s.shots.jpegOf(f)
	if jpeg != nil {
		defer jpeg.Release()
	}
	return snapshot.Write(path, f, jpeg)
}

// report notes whether a picture is missing, which is said once.
func (s *snapshots) report(err error) {
	if err != nil && !s.failing {
		s.v.log.Warn("a picture is missing", "err", err)
	}
	s.failing = err != nil
}

// Close implements sink.Sink. Where no more frames come, the newest is good enough.
func (s *snapshots) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit != nil {
		s.limit.Stop()
	}
	if !s.warm {
		s.settled()
	}
	s.done = true
	s.shots.release()
	return nil
}

// snapshotTaken ends the run with the one picture, or with what kept it away.
func (v *viewer) snapshotTaken(err error) {
	if err != nil {
		v.fail(err)
	}
	v.mu.Lock()
	v.taken = true
	v.mu.Unlock()
	v.done()
}
