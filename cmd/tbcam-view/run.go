package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
)

// run is one run of tbcam-view: a bridge and the outputs, from the flags to the exit
// code.
type run struct {
	o          options
	log        *slog.Logger
	screen     *screen
	ctx        context.Context    // of the run
	done       context.CancelFunc // ends the run
	ending     <-chan struct{}    // closed when the run is to end
	completion *completion
	pool       *capture.Pool
	meter      *meter.Meter
	stream     *sharedStream
	bridge     *bridge
	microphone *farMicrophone // nil: nobody is to listen
	fanout     *sink.Fanout
	outputs    []sink.Output // in the fan-out
	videoAge   age           // of frames that the first output has presented

	mu       sync.Mutex
	failed   error // of the first output that ended for good
	snapshot bool  // the one of --snapshot was taken
	muted    bool  // what plays the far microphone
}

// runView is one run. It ends soon after a signal, whatever its parts do then.
func runView(ctx context.Context, o options) error {
	return endInTime(ctx, func(c *completion) error { return viewUntil(ctx, o, c) })
}

func viewUntil(ctx context.Context, o options, c *completion) error {
	config, err := o.bridgeConfig()
	if err != nil {
		return err
	}
	if err := o.checkFlags(); err != nil {
		return err
	}
	limited, cancel := o.timeout.Context(ctx)
	defer cancel()
	r := newRun(limited, o, c)
	defer r.done()
	c.setResult(func() error { return r.runResult(ctx, limited, nil) })
	if r.stream, err = o.openStream(r.pool, r.log); err != nil {
		return err
	}
	defer r.stream.close()
	if err := r.connectBridge(config); err != nil {
		return err
	}
	defer o.stats.Start(o.statsOutput(), r.summaries)()
	defer cli.KeepStatus(r.describeStatus)()
	r.log.Info("waiting for tbcam-send", "stream", o.stream)
	r.bridge.showNotice(r.waitingNotice())
	defer context.AfterFunc(ctx, r.hurryDecoder)()
	return r.runResult(ctx, limited, r.receiveFrames())
}

// waitingNotice returns what is shown until a sender is connected.
func (r *run) waitingNotice() sink.Notice {
	return sink.Notice{
		Heading: "Waiting for the camera", Brief: waitingForSender,
		Detail: "Start tbcam-send on the other computer · stream “" + r.o.stream + "”\n\nH help, Q quit",
	}
}

// decodeWait is how long decoding may go on after a signal.
const decodeWait = 500 * time.Millisecond

// hurryDecoder ends decoding if it takes long.
func (r *run) hurryDecoder() { time.AfterFunc(decodeWait, r.fanout.Hurry) }

// newRun returns a run without a stream.
func newRun(ctx context.Context, o options, c *completion) *run {
	screen := &screen{file: os.Stderr}
	r := &run{
		o: o, log: o.log.New(screen, "tbcam-view"), screen: screen,
		completion: c, pool: &capture.Pool{Limit: o.limitMemory()}, meter: meter.New(),
	}
	r.ctx, r.done = context.WithCancel(ctx)
	r.ending = r.ctx.Done()
	return r
}

// connectBridge makes the bridge to the stream, and opens the outputs.
func (r *run) connectBridge(c bridgeConfig) error {
	outage := &outage{report: func(cause string) { r.bridge.reportOutage(cause) }}
	r.fanout = sink.NewFanout(sink.Options{Decoder: outage.observeDecoder(r.newDecoder()), Log: r.log, Ended: r.outputEnded})
	c.log, c.ending, c.giveUp, c.takesRaw = r.log, r.ending, r.giveUp, r.takesRaw
	limit := &frameLimit{Fanout: r.fanout, frames: r.o.frames, duration: r.o.duration, done: r.done}
	bridge := newBridge(r.stream, limit, outage, c)
	r.mu.Lock() // a run that is left may be asked for its result now
	r.bridge = bridge
	r.mu.Unlock()
	r.stream.screen = newPairingScreen(bridge.showNotice, r.waitingNotice())
	if name := r.o.farMicrophoneName(); name != "" {
		r.microphone = newFarMicrophone(r.stream.Hub, name, r.fanout.Frame, r.log)
	}
	return cli.Mark(r.openOutputs(), cli.ErrSink)
}

// receiveFrames receives until the run is to end, and then lets the outputs finish.
func (r *run) receiveFrames() error {
	var serving sync.WaitGroup
	serving.Go(r.fanout.Run)
	records := r.o.record.path != ""
	if records {
		r.completion.expectRecording()
	}
	err := r.stream.run(r.ctx)
	closing := cli.Mark(r.fanout.Close(), cli.ErrSink) // of the recording
	r.noteFailure(closing)
	if records {
		r.completion.recordingIsComplete()
	}
	serving.Wait()
	return cmp.Or(err, closing)
}

// runResult returns what a run ends with: with err, what befell an output, or for want
// of a snapshot.
func (r *run) runResult(signals, limited context.Context, err error) error {
	r.mu.Lock()
	failed := r.failed
	r.mu.Unlock()
	return cmp.Or(err, failed, r.missingSnapshot(signals, limited))
}

// noteFailure notes what the run ends with, unless that is known.
func (r *run) noteFailure(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = cmp.Or(r.failed, err)
}

// outputEnded implements sink.Options.Ended: the last output ends the run.
func (r *run) outputEnded(o sink.Output, err error, left int) {
	r.noteNeeds(o, false)
	r.noteFailure(cli.Mark(err, cli.ErrSink))
	switch {
	case left == 0:
		r.done()
	case err != nil:
		r.log.Error(cli.Explain(err))
	default:
		r.log.Info("the " + o.Name() + " was closed; other outputs continue")
	}
}

// countPresented counts a frame that has reached the first output.
func (r *run) countPresented(f *capture.Frame) { r.countShown(&f.At, time.Now()) }

// countShown counts a frame that was presented at a time.
func (r *run) countShown(at *[capture.NumStages]time.Time, when time.Time) {
	r.meter.Add(at, when)
	r.videoAge.note(at, when)
}

// summaries returns the figures of the camera, and those of the microphone if there is one.
func (r *run) summaries() []meter.Summary {
	camera := r.summarize()
	if r.microphone == nil {
		return []meter.Summary{camera}
	}
	camera.Several = true
	microphone := r.microphone.summarize(r.fanout.Stats().Unheard)
	for _, o := range r.outputs {
		if d, ok := o.(soundDescriber); ok {
			d.describeSound(&microphone)
		}
	}
	return []meter.Summary{camera, microphone}
}

// summarize returns the figures of the camera so far.
func (r *run) summarize() meter.Summary {
	received, shared, lost := r.bridge.far.Stats(), r.fanout.Stats(), r.bridge.totalLost()
	s := meter.Summary{
		Time: time.Now(), Program: "tbcam-view", Kind: meter.Camera, Counted: "received",
		Report: r.meter.Report(received.Bytes), Clock: r.bridge.clockQuality(),
	}
	r.bridge.describeState(&s)
	s.Codec, s.CodecReason = r.bridge.codecNow()
	s.Outcomes = append([]meter.Outcome{{Name: "sent", Count: received.Frames + received.Lost}}, meter.SenderOutcomes(lost)...)
	s.Outcomes = append(s.Outcomes,
		meter.Outcome{Name: "lost on the link", Count: received.Lost},
		meter.Outcome{Name: "not decodable", Count: shared.Damaged},
		meter.Outcome{Name: "superseded before showing", Count: shared.Superseded},
	)
	for _, o := range r.fanout.Report() {
		s.Outcomes = append(s.Outcomes, meter.Outcome(o))
	}
	for i, o := range r.outputs {
		if m, ok := o.(measured); ok && i == 0 {
			s.Counted = m.counted()
		}
		if d, ok := o.(describer); ok {
			d.describe(&s)
		}
	}
	return s
}

// describeStatus returns what the run does, for the service manager.
func (r *run) describeStatus() string {
	parts := []string{r.bridge.describeStatus()}
	users, counts := 0, false
	for _, o := range r.outputs {
		if c, ok := o.(*cameraOutput); ok {
			users, counts = users+c.Users(), true
		}
	}
	switch {
	case !counts:
	case users == 1:
		parts = append(parts, "1 application")
	default:
		parts = append(parts, fmt.Sprintf("%d applications", users))
	}
	return strings.Join(parts, "; ")
}

// frameLimit is the fan-out of a run that may end after some frames, or some time
// after the first one.
type frameLimit struct {
	*sink.Fanout
	frames   uint64        // 0: any number
	duration time.Duration // 0: any time
	done     func()

	// Accessed only by Frame.
	count uint64
	over  bool
}

// Frame implements downstream.
func (l *frameLimit) Frame(f *capture.Frame) {
	if l.over {
		f.Release()
		return
	}
	l.count++
	if l.count == 1 && l.duration > 0 {
		time.AfterFunc(l.duration, l.done)
	}
	l.Fanout.Frame(f)
	if l.count == l.frames {
		l.over = true
		l.done()
	}
}
