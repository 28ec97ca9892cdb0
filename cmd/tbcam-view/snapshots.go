package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/record"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/sink"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/snapshot"
)

// snapshots writes a picture now and then, each to a file of its own or, with
// --force and a name without time, to the same one.
type snapshots struct {
	v       *viewer
	pattern string
	next    time.Time
	failing bool
}

func (v *viewer) openSnapshots() (sink.Sink, error) {
	pattern := v.o.snapshot
	if !v.o.force {
		pattern = record.Pattern(pattern)
	}
	return &snapshots{v: v, pattern: pattern}, snapshot.Check(record.Expand(pattern, time.Now()), v.o.force)
}

// Present implements sink.Sink. A picture that cannot be written is missing, and
// that is said once.
func (s *snapshots) Present(f *capture.Frame) error {
	defer f.Release()
	if f.Time.Before(s.next) {
		return nil
	}
	s.next = f.Time.Add(s.v.o.snapshotEvery)
	path := record.Expand(s.pattern, f.Time.Local())
	err := snapshot.Check(path, s.v.o.force)
	if err == nil {
		err = snapshot.Write(path, f)
	}
	if err != nil && !s.failing {
		s.v.log.Warn("a picture is missing", "why", err)
	}
	s.failing = err != nil
	return nil
}

// Close implements sink.Sink.
func (s *snapshots) Close() error { return nil }

// checkSnapshots refuses what --snapshot-every cannot do.
func (o *options) checkSnapshots() error {
	switch {
	case o.snapshotEvery < 0:
		return errors.New("--snapshot-every must not be negative")
	case o.snapshotEvery > 0 && o.snapshot == "":
		return errors.New("--snapshot-every needs --snapshot FILE.png, in whose name %Y %m %d %H %M %S tell the time")
	case o.snapshotEvery == 0:
		return nil
	}
	if err := record.CheckPattern(o.snapshot); err != nil {
		return fmt.Errorf("--snapshot %s: %w", o.snapshot, err)
	}
	return nil
}
