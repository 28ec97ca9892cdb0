package main

import (
	"log/slog"
	"slices"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
)

// outputKinds is the one list of what flags can ask for, in the order in which it is
// opened. Each function returns the outputs of its flags; measure, if not nil, is to
// be called with each frame that the first of them has presented.
var outputKinds = []func(r *run, measure func(*capture.Frame)) ([]sink.Output, error){
	windowOutputs,
	virtualCameraOutputs,
	snapshotOutputs,
	recordOutputs,
	playbackOutputs,
}

// measured is an Output whose latency may be measured, by a word for what it does
// with frames.
type measured interface{ counted() string }

// describer is an Output that adds to --stats.
type describer interface{ describe(s *meter.Summary) }

// soundDescriber is an Output that adds to the --stats of the microphone.
type soundDescriber interface{ describeSound(s *meter.Summary) }

// starter is an Output that may start later: Trouble returns why it has not.
type starter interface{ Trouble() error }

// spare is an Output that may do without starting, as another one of its flag has.
type spare interface{ isSpare() bool }

// jpegTaker is an Output that may have a use for JPEGs as they came: then raw frames are
// encoded by their sender, once for all.
type jpegTaker interface{ takesJPEGs() bool }

// takesRaw reports whether no output that is left has a use for JPEGs.
func (r *run) takesRaw() bool {
	return !slices.ContainsFunc(r.outputs, func(o sink.Output) bool {
		t, ok := o.(jpegTaker)
		return ok && t.takesJPEGs() && !r.fanout.HasEnded(o)
	})
}

// recordingListener is an Output that shows whether there is a recording.
type recordingListener interface{ recordingChanged(on bool) }

// openOutputs opens what the flags name. The first output is the one whose latency
// is measured.
func (r *run) openOutputs() error {
	for _, outputs := range outputKinds {
		var measure func(*capture.Frame)
		if len(r.outputs) == 0 {
			measure = r.countPresented
		}
		more, err := outputs(r, measure)
		if err != nil {
			return err
		}
		r.outputs = append(r.outputs, more...)
	}
	for _, o := range r.outputs {
		r.noteNeeds(o, true)
	}
	if err := r.fanout.Add(r.outputs...); err != nil {
		return err
	}
	return r.checkStarted()
}

// checkStarted returns an error where no output has started; otherwise those that
// have not are tried again.
func (r *run) checkStarted() error {
	var failed []starter
	for _, o := range r.outputs {
		if s, ok := o.(starter); ok && s.Trouble() != nil {
			failed = append(failed, s)
		}
	}
	if len(failed) > 0 && len(failed) == len(r.outputs) {
		return failed[0].Trouble()
	}
	for _, s := range failed {
		level := slog.LevelError
		if o, ok := s.(spare); ok && o.isSpare() {
			level = slog.LevelInfo
		}
		r.log.Log(r.ctx, level, cli.Explain(s.Trouble()))
	}
	return nil
}

// recordingChanged passes on whether there is a recording.
func (r *run) recordingChanged(on bool) {
	for _, o := range r.outputs {
		if l, ok := o.(recordingListener); ok {
			l.recordingChanged(on)
		}
	}
}
