package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
)

// defaultSegment is that of --keep alone: without segments nothing could go.
const defaultSegment = 10 * time.Minute

// recordFlags are those of the recording.
type recordFlags struct {
	path, format, buffer   string
	segment, keep, preRoll string
	sync, every            time.Duration
}

// registerFlags adds the flags.
func (r *recordFlags) registerFlags(f *pflag.FlagSet) {
	f.StringVar(&r.path, "record", "", "record to `FILE` without re-encoding: .mkv, .mp4, .avi, .mjpeg, or DIR/ for JPEGs; "+
		"%Y %m %d %H %M %S in the name make a series; - is standard output")
	f.StringVar(&r.format, "record-format", "", "recording format, if the name does not give it: mkv, mp4, avi, mjpeg or jpg")
	f.StringVar(&r.buffer, "record-buffer", humanize.IBytes(record.DefaultBuffer), "memory for frames that wait for the disk, as a `SIZE`; the same again for --pre-roll")
	f.DurationVar(&r.sync, "sync-interval", record.DefaultSync, "maximum recording lost in a power failure, as a `DURATION`")
	f.StringVar(&r.segment, "segment", "", "start a new file after a `LIMIT`: a time, a size, or whichever comes first: 10m, 500MB or 10m,500MB")
	f.StringVar(&r.keep, "keep", "", "delete the oldest files beyond a `LIMIT`: a total size, an age, or both: 20GB, 7d or 20GB,7d")
	f.StringVar(&r.preRoll, "pre-roll", "", "record only on request (SIGUSR2, or start and stop on standard input), including the `DURATION` before it; 0s for none")
	f.DurationVar(&r.every, "every", 0, "time-lapse: record one frame per `DURATION`, played back at 30 fps")
}

// checkFlags refuses flags that cannot work.
func (r *recordFlags) checkFlags() error {
	if r.path != "" {
		_, err := r.recordOptions(false)
		return err
	}
	for flag, given := range map[string]bool{
		"--segment": r.segment != "", "--keep": r.keep != "", "--pre-roll": r.preRoll != "", "--every": r.every != 0,
		"--record-format": r.format != "",
	} {
		if given {
			return fmt.Errorf("%s needs --record FILE", flag)
		}
	}
	return nil
}

// recordOptions returns what the flags ask for.
func (r *recordFlags) recordOptions(force bool) (o record.Options, err error) {
	o = record.Options{Path: r.path, Force: force, Sync: r.sync, Every: r.every}
	if o.Buffer, err = record.ParseSize(r.buffer); err != nil {
		return o, fmt.Errorf("--record-buffer %w", err)
	}
	if o.Segment, err = parseLimit("--segment", r.segment); err != nil {
		return o, err
	}
	if o.Keep, err = parseLimit("--keep", r.keep); err != nil {
		return o, err
	}
	if r.preRoll != "" {
		o.Waiting = true
		if o.PreRoll, err = time.ParseDuration(r.preRoll); err != nil || o.PreRoll < 0 {
			return o, fmt.Errorf("--pre-roll %q: want a time such as 10s, or 0s", r.preRoll)
		}
	}
	switch {
	case o.Sync < 10*time.Millisecond:
		return o, errors.New("--sync-interval must be at least 10ms")
	case o.Every < 0:
		return o, errors.New("--every must not be negative")
	}
	return o, r.nameKind(&o)
}

// parseLimit reads a flag that may be empty.
func parseLimit(flag, text string) (l record.Limit, err error) {
	if text == "" {
		return l, nil
	}
	if l, err = record.ParseLimit(text); err != nil {
		err = fmt.Errorf("%s %w", flag, err)
	}
	return l, err
}

// nameKind sets the kind of the recording and the names of its files.
func (r *recordFlags) nameKind(o *record.Options) (err error) {
	kind, known := container.KindOf(r.path)
	if r.format != "" {
		if kind, err = container.ParseKind(r.format); err != nil {
			return fmt.Errorf("--record-format: %w", err)
		}
		known = true
	}
	o.Kind = kind
	if isStream(r.path) {
		return r.checkStream(o)
	}
	if !known {
		return fmt.Errorf("--record %s: its name does not end in .mkv, .mp4, .avi, .mjpeg or /; set the type with --record-format", r.path)
	}
	if kind != container.Directory && strings.HasSuffix(o.Path, "/") {
		o.Path += "tbcam" + record.Stamp + "." + kind.String()
	}
	if o.Keep != (record.Limit{}) && o.Segment == (record.Limit{}) {
		o.Segment.Time = defaultSegment
	}
	if o.Segment != (record.Limit{}) {
		o.Path = record.Pattern(o.Path)
	}
	if strings.Contains(o.Path, "%") {
		if err := record.CheckPattern(o.Path); err != nil {
			return fmt.Errorf("--record %s: %w", o.Path, err)
		}
	}
	return nil
}

// recordOutput is the recording. It implements sink.Output and its sink.Sink.
type recordOutput struct {
	run     *run
	options record.Options
	measure func(*capture.Frame) // or nil
	stop    func()               // ends what accompanies the recorder; nil before Open

	mu       sync.Mutex
	recorder *record.Recorder // nil before Open

	// Accessed only by Present.
	seen   record.Gap     // totals when the last frame came
	begun  uint64         // sessions by then
	format capture.Format // for which memory is reserved
}

// recordOutputs returns the recording, if there is to be one.
func recordOutputs(r *run, measure func(*capture.Frame)) ([]sink.Output, error) {
	if r.o.record.path == "" {
		return nil, nil
	}
	o, err := r.o.record.recordOptions(r.o.force)
	if err != nil {
		return nil, cli.Mark(err, cli.ErrUsage)
	}
	if r.microphone != nil && r.o.checkRecordedAudio() == nil {
		o.Audio = recordedAudio
	}
	o.About, o.Changed, o.Log = r.bridge.describeSource, r.recordingChanged, r.log
	return []sink.Output{&recordOutput{run: r, options: o, measure: measure}}, nil
}

// Name implements sink.Output.
func (o *recordOutput) Name() string { return "recording" }

// Takes implements sink.Output.
func (o *recordOutput) Takes() sink.Need { return sink.Every }

// Listens implements sink.Listener: also before a recording starts, for its pre-roll.
func (o *recordOutput) Listens() bool { return o.options.Audio.Channels > 0 }

// takesJPEGs implements jpegTaker.
func (o *recordOutput) takesJPEGs() bool { return true }

// Open implements sink.Output. It waits for the reader of a FIFO.
func (o *recordOutput) Open() (sink.Sink, error) {
	r, err := o.run, error(nil)
	if isStream(o.options.Path) {
		if o.options.Out, err = openStream(o.options.Path, r.ending, r.log); err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
	}
	if r.fanout.Left() == 1 {
		// Nearly all of the heap are reserved buffers, in which nothing is to be looked
		// for: to collect each megabyte of garbage costs little, and memory stays flat.
		debug.SetGCPercent(3)
	}
	recorder, err := record.New(o.options)
	if err != nil {
		return nil, err
	}
	// A reader of the recording or of --stats that goes away must not end other
	// outputs, nor leave a file without its index: writing fails with EPIPE instead.
	signal.Ignore(syscall.SIGPIPE)
	o.mu.Lock()
	o.recorder = recorder
	o.mu.Unlock()
	r.recordingChanged(recorder.Recording())
	o.stop = o.acceptCommands(r.ctx)
	return o, nil
}

// Present implements sink.Sink: it hands a frame over with what is missing before it.
func (o *recordOutput) Present(f *capture.Frame) error {
	if f.Format.IsAudio() {
		return o.recorder.Write(f, record.Gap{})
	}
	o.reserveMemory(f)
	return o.recorder.Write(f, o.takeGap())
}

// Presented implements sink.PresentedListener.
func (o *recordOutput) Presented(f *capture.Frame) {
	if o.measure != nil {
		o.measure(f)
	}
}

// Close completes the recording.
func (o *recordOutput) Close() error {
	defer o.stop()
	return o.recorder.Close()
}

// acceptCommands acts on commands and shows how the recording goes, until the returned
// function is called.
func (o *recordOutput) acceptCommands(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var commands io.Reader
	if flags := o.run.o; flags.record.preRoll != "" && flags.stream != "-" {
		commands = os.Stdin
	}
	o.handleCommands(ctx, commands)
	var watching sync.WaitGroup
	watching.Go(func() { o.showStatus(ctx, o.run.screen, o.run.o.stats.String() != "") })
	return func() {
		cancel()
		watching.Wait()
	}
}

// reserved bounds the memory in bytes that reserveMemory takes for frames, and as
// much again for what a container gathers of them.
const reserved = 16 << 20

// reserveMemory takes, with the first frame of a format, the memory that is needed
// while the disk pauses for twice the sync interval: it need not be found then, and
// the process stays as large as it is.
func (o *recordOutput) reserveMemory(f *capture.Frame) {
	if o.format == f.Format {
		return
	}
	o.format = f.Format
	mode, _ := o.run.bridge.currentMode()
	size := len(f.Data) + len(f.Data)/4 // of others
	frames := min(int(2*o.options.Sync.Seconds()*max(1, mode.Source.Rate.FPS())), reserved/size)
	o.run.pool.Reserve(frames, size)
	container.Reserve(frames * size)
}

// takeGap returns what is missing since the last call.
func (o *recordOutput) takeGap() record.Gap {
	sessions := o.run.bridge.receiver.Stats().Sessions
	now := record.Gap{Lost: o.run.bridge.totalLost(), Link: o.run.bridge.far.Stats().Lost}
	gap := record.Gap{
		Lost: capture.Lost{
			Driver:     now.Driver - o.seen.Driver,
			Damaged:    now.Damaged - o.seen.Damaged,
			Superseded: now.Superseded - o.seen.Superseded,
		},
		Link:  now.Link - o.seen.Link,
		Break: o.begun > 0 && sessions != o.begun,
	}
	o.seen, o.begun = now, sessions
	return gap
}

// describeSource names what is being received.
func (b *bridge) describeSource() (container.Tags, capture.Rate) {
	mode, host := b.currentMode()
	return container.Tags{
		Camera: mode.Camera, Host: host, Mode: mode.Source.String(), Program: "tbcam-view " + version,
		Field: mode.Source.Field,
	}, mode.Source.Rate
}

// openedRecorder returns the recorder, nil before Open.
func (o *recordOutput) openedRecorder() *record.Recorder {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.recorder
}

// Report implements sink.Reporter.
func (o *recordOutput) Report() []sink.Outcome {
	r := o.openedRecorder()
	if r == nil {
		return nil
	}
	s := r.Stats()
	return []sink.Outcome{{Name: "recorded", Count: s.Frames}, {Name: "dropped by the recorder", Count: s.Dropped}}
}

// describe implements describer.
func (o *recordOutput) describe(summary *meter.Summary) {
	r := o.openedRecorder()
	if r == nil {
		return
	}
	s := r.Stats()
	summary.Recorder = &meter.Recorder{
		Recording: s.Recording && o.run.bridge.isConnected(), File: s.File, Files: s.Files, Seconds: s.Length.Seconds(),
		Frames: s.Frames, Bytes: s.Bytes, Waiting: s.Waiting, WaitingBytes: s.Held, WaitingMax: s.Most, Dropped: s.Dropped,
		FreeBytes: s.Free, Problem: s.Problem,
	}
	if o.Listens() {
		summary.Recorder.Audio = &meter.Audio{
			Silence: capture.AudioDuration(s.Audio.Silence).Seconds(), Dropped: capture.AudioDuration(s.Audio.Dropped).Seconds(),
			Correction: s.Audio.Drift * 1e6,
		}
	}
}

// statsOutput returns where --stats prints: not into a recording or a frame.
func (o *options) statsOutput() io.Writer {
	if isStdout(o.record.path) || isStdout(o.snapshot) {
		return os.Stderr
	}
	return os.Stdout
}
