package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/sink/snapshot"
)

// registerSnapshots adds the flags of snapshots, and how long one is waited for.
func (o *options) registerSnapshots(f *pflag.FlagSet) {
	f.StringVar(&o.snapshot, "snapshot", "", "write one frame to `FILE.png` or FILE.jpg and exit; - is standard output (PNG)")
	f.DurationVar(&o.snapshotEvery, "snapshot-every", 0, "keep running and write a frame every `DURATION`; %Y %m %d %H %M %S in FILE.png are the time")
	f.IntVar(&o.snapshotSkip, "skip", -1, "skip `N` frames before the first snapshot, instead of waiting for the exposure to settle")
	o.timeout.Register(f)
}

// checkSnapshots refuses flags of snapshots that cannot work.
func (o *options) checkSnapshots() error {
	switch {
	case o.snapshotEvery < 0:
		return errors.New("--snapshot-every must not be negative")
	case o.snapshot == "" && o.snapshotEvery > 0:
		return errors.New("--snapshot-every needs --snapshot FILE.png, with %Y %m %d %H %M %S for the time in its name")
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
		return errors.New("--snapshot-every needs --snapshot FILE.png; standard output takes one image")
	case isStdout(o.record.path):
		return errors.New("--snapshot -: the recording goes to standard output")
	case term.IsTerminal(int(os.Stdout.Fd())):
		return errors.New("--snapshot -: standard output is a terminal; redirect it to a file or a pipe")
	}
	return nil
}

// snapshotOutput writes one frame and ends the run or, with --snapshot-every, one
// now and then, each to a file of its own or, with --force and a name without time,
// to the same one. It implements sink.Output and its sink.Sink.
type snapshotOutput struct {
	snapshotConfig
	pattern  string
	schedule record.Schedule

	mu      sync.Mutex      // held while a frame is written, too
	history snapshotHistory // only its JPEGs are used
	warm    bool
	warmup  warmup
	limit   *time.Timer    // of the warm-up
	newest  *capture.Frame // that came while the camera warmed up
	done    bool           // no more are wanted
	failing bool
}

// snapshotConfig is what a snapshotOutput is made for.
type snapshotConfig struct {
	path    string
	every   time.Duration // 0: a single one
	skip    int           // frames before the first, -1 for by their luminance
	force   bool          // overwrite files
	copies  bool          // a JPEG may be written as it came
	log     *slog.Logger
	measure func(*capture.Frame) // or nil
	// taken is called when a single snapshot was taken, or with what kept it away.
	taken func(err error)
}

func newSnapshotOutput(c snapshotConfig) *snapshotOutput {
	s := &snapshotOutput{snapshotConfig: c, pattern: c.path, warmup: warmup{skip: c.skip}}
	if c.every > 0 {
		s.schedule.Every = c.every
		if !c.force {
			s.pattern = record.Pattern(s.pattern)
		}
	}
	return s
}

// snapshotOutputs returns the output of --snapshot.
func snapshotOutputs(r *run, measure func(*capture.Frame)) ([]sink.Output, error) {
	if r.o.snapshot == "" {
		return nil, nil
	}
	c := snapshotConfig{
		path: r.o.snapshot, every: r.o.snapshotEvery, skip: r.o.snapshotSkip, force: r.o.force,
		copies: r.o.transform.Identity(), log: r.log, measure: measure,
	}
	var s *snapshotOutput
	c.taken = func(err error) { r.snapshotTaken(s, err) }
	s = newSnapshotOutput(c)
	return []sink.Output{s}, nil
}

// Name implements sink.Output.
func (s *snapshotOutput) Name() string { return "snapshot" }

// Takes implements sink.Output.
func (s *snapshotOutput) Takes() sink.Need { return sink.Decoded }

// takesJPEGs implements jpegTaker.
func (s *snapshotOutput) takesJPEGs() bool { return s.copies && snapshot.IsJPEG(s.pattern) }

// Open implements sink.Output.
func (s *snapshotOutput) Open() (sink.Sink, error) { return s, s.checkPath() }

// Presented implements sink.PresentedListener.
func (s *snapshotOutput) Presented(f *capture.Frame) {
	if s.measure != nil {
		s.measure(f)
	}
}

// checkPath reports what will keep a frame from being written.
func (s *snapshotOutput) checkPath() error {
	path := s.pathAt(time.Now())
	if err := snapshot.Check(path, s.force); err != nil || path == snapshot.Stdout {
		return err
	}
	if err := record.CheckName(path); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// pathAt returns the file of a frame that was captured at this moment.
func (s *snapshotOutput) pathAt(at time.Time) string {
	if s.every == 0 {
		return s.pattern
	}
	return record.Expand(s.pattern, record.WallTime(at).Local())
}

// TakeReceived implements sink.ReceivedTaker: a frame as it came may be the file that
// is wanted.
func (s *snapshotOutput) TakeReceived(f *capture.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done || !s.takesJPEGs() {
		f.Release()
		return
	}
	s.history.addReceived(f)
}

// Present implements sink.Sink.
func (s *snapshotOutput) Present(f *capture.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.warm {
		s.keepNewest(f)
		if !s.warmup.isOver(luminance{time.Now(), meanLuminance(f)}) {
			return nil
		}
		s.takeNewest()
	} else {
		s.takeDue(f)
	}
	if s.done {
		return sink.ErrDone
	}
	return nil
}

// keepNewest takes over a frame that comes while the camera warms up. With the first one
// begins the time that this may take, also if no other comes.
func (s *snapshotOutput) keepNewest(f *capture.Frame) {
	if s.newest != nil {
		s.newest.Release()
	} else if s.skip < 0 {
		s.limit = time.AfterFunc(warmupTime, s.endWarmup)
	}
	s.newest = f
}

// endWarmup ends the warm-up after its longest time.
func (s *snapshotOutput) endWarmup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.warm {
		s.takeNewest()
	}
}

// takeNewest ends the warm-up with the newest frame.
func (s *snapshotOutput) takeNewest() {
	s.warm = true
	if f := s.newest; f != nil {
		s.newest = nil
		s.takeDue(f)
	}
}

// takeDue writes a frame if it is due.
func (s *snapshotOutput) takeDue(f *capture.Frame) {
	defer f.Release()
	switch {
	case s.done:
	case s.every == 0:
		s.done = true
		s.taken(s.writeFrame(f))
	case s.schedule.Due(f.Time):
		s.logMissing(s.writeFrame(f))
	}
}

// writeFrame writes a frame to its file.
func (s *snapshotOutput) writeFrame(f *capture.Frame) error {
	path := s.pathAt(f.Time)
	if err := snapshot.Check(path, s.force); err != nil {
		return err
	}
	jpeg := s.history.jpegOf(f)
	if jpeg != nil {
		defer jpeg.Release()
	}
	err := snapshot.Write(path, f, jpeg)
	if err == nil {
		level := slog.LevelInfo
		if s.every > 0 { // of which there are many
			level = slog.LevelDebug
		}
		s.log.Log(context.Background(), level, fmt.Sprintf("saved %s: %dx%d", path, f.Format.Width, f.Format.Height))
	}
	return err
}

// logMissing notes whether a frame is missing, and logs that once.
func (s *snapshotOutput) logMissing(err error) {
	if err != nil && !s.failing {
		s.log.Warn("snapshot missed", "err", cli.Explain(err))
	}
	s.failing = err != nil
}

// Close implements sink.Sink. Where no more frames come, the newest is good enough.
func (s *snapshotOutput) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit != nil {
		s.limit.Stop()
	}
	if !s.warm {
		s.takeNewest()
	}
	s.done = true
	s.history.releaseAll()
	return nil
}

// snapshotTaken ends the run with the one frame, or with what kept it away.
func (r *run) snapshotTaken(s *snapshotOutput, err error) {
	if err != nil {
		r.fanout.End(s, err)
	}
	r.mu.Lock()
	r.snapshot = true
	r.mu.Unlock()
	r.done()
}
