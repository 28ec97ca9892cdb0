package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/virtualcam"
	"github.com/tbcam/tbcam/transport"
)

// viewer is what one run of tbcam-view consists of. It implements
// transport.Consumer.
type viewer struct {
	o        options
	log      *slog.Logger
	ctx      context.Context    // of the run
	done     context.CancelFunc // ends the run
	pool     *capture.Pool
	fanout   *sink.Fanout
	receiver *transport.Receiver
	demand   *demand
	recorder *recording // nil without --record
	screen   *screen
	window   *windowSink          // nil without --window
	cameras  []*virtualcam.Camera // virtual ones
	meter    *meter.Meter
	wishes   *desiredControls
	modes    *modes
	outage   *outage

	ending     <-chan struct{} // closed when the run is to end
	completion *completion

	frames uint64 // received; of Frame alone
	over   bool   // no more frames are wanted; of Frame alone

	mu     sync.Mutex
	notice string       // what is waited for, "" when frames are to come
	lost   capture.Lost // the sender's totals of this session
	before capture.Lost // and of those before it
	status transport.Status
	mode   transport.Mode // of what is being received
	host   string         // and its host
	failed error          // the first sink that ended for good
	ended  int            // sinks that have ended for good, or were closed by the user
	taken  bool           // the picture of --snapshot
}

// view is one run. It ends soon after a signal, whatever its parts do then.
func view(ctx context.Context, o options) error {
	return endInTime(ctx, func(c *completion) error { return viewUntil(ctx, o, c) })
}

func viewUntil(ctx context.Context, o options, c *completion) error {
	if err := o.check(); err != nil {
		return err
	}
	limited, cancel := o.timeout.Context(ctx)
	defer cancel()
	v, err := newRun(limited, o)
	if err != nil {
		return err
	}
	defer v.done()
	v.completion = c
	c.begin(func() error { return v.result(ctx, limited, nil) })
	link, err := cli.ViewerLink(o.stream, o.allow, v.log)
	if err != nil {
		return err
	}
	defer link.Close()
	if err := v.connect(link); err != nil {
		return err
	}
	defer v.openDoor()()
	defer o.stats.Start(o.out(), v.summary)()
	v.log.Info("waiting for tbcam-send", "stream", o.stream)
	v.say("Waiting for tbcam-send\nat "+o.stream, waitingForSender+" at "+o.stream)
	defer context.AfterFunc(ctx, v.hurry)()
	return v.result(ctx, limited, v.run())
}

// decodeWait is how long decoding may go on after a signal.
const decodeWait = 500 * time.Millisecond

// hurry ends decoding if it takes long.
func (v *viewer) hurry() { time.AfterFunc(decodeWait, v.fanout.Hurry) }

// newRun returns a viewer as the flags ask for, without a stream.
func newRun(ctx context.Context, o options) (*viewer, error) {
	want, err := o.want.Want()
	if err != nil {
		return nil, err
	}
	wishes, err := o.controls.wishes()
	if err != nil {
		return nil, err
	}
	screen := &screen{file: os.Stderr}
	v := &viewer{
		o: o, log: cli.NewLog(screen, "tbcam-view", cli.Level(o.verbose)), screen: screen,
		pool: &capture.Pool{Limit: o.limitMemory()}, meter: meter.New(), wishes: wishes,
	}
	v.ctx, v.done = context.WithCancel(ctx)
	v.ending = v.ctx.Done()
	v.outage = &outage{report: v.reportOutage}
	v.fanout = sink.NewFanout(v.outage.observe(v.newDecoder()), v.log)
	v.demand = &demand{want: want}
	v.modes = newModes(want, v.demand)
	return v, nil
}

// connect makes the receiver of a stream, and the sinks.
func (v *viewer) connect(link transport.Link) error {
	cameras, err := v.o.loopback.options(v.demand.want)
	if err != nil {
		return err
	}
	plain, err := newPlainPictures(v.pool)
	if err != nil {
		return err
	}
	v.receiver = &transport.Receiver{Link: link, Consumer: v, Pool: v.pool, Program: "tbcam-view", Version: version, Log: v.log, Plain: plain.take}
	v.wishes.log, v.wishes.send = v.log, v.receiver.SetControl
	v.receiver.ControlsChanged = v.controlsChanged
	v.demand.receiver = v.receiver
	return cli.Mark(v.addSinks(cameras), cli.ErrSink)
}

// result returns what a run ends with: with err, what befell a sink, or for want of a
// snapshot.
func (v *viewer) result(signals, limited context.Context, err error) error {
	v.mu.Lock()
	failed := v.failed
	v.mu.Unlock()
	return cmp.Or(err, failed, v.missingSnapshot(signals, limited))
}

// run receives until the run is to end, and then lets the sinks finish.
func (v *viewer) run() error {
	var sinks sync.WaitGroup
	sinks.Go(v.fanout.Run)
	stop := v.accompanyRecorder()
	err := cli.Mark(v.receiver.Run(v.ctx), cli.ErrStream)
	v.fanout.Close()
	// The recorder first: what other sinks still do must not delay it.
	closing := v.closeRecorder()
	stop()
	sinks.Wait()
	return cmp.Or(err, closing)
}

// accompanyRecorder has the recorder obey commands, if there is one.
func (v *viewer) accompanyRecorder() (stop func()) {
	if v.recorder == nil {
		return func() {}
	}
	v.completion.expectRecording()
	return v.recorder.accompany(v.ctx)
}

// closeRecorder completes the recording, if there is one.
func (v *viewer) closeRecorder() error {
	if v.recorder == nil {
		return nil
	}
	defer v.completion.recordingIsComplete()
	err := cli.Mark(v.recorder.Close(), cli.ErrSink)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = cmp.Or(v.failed, err)
	return err
}

// fail notes that a sink has ended for good, and ends the run with the last one.
func (v *viewer) fail(err error) {
	v.mu.Lock()
	v.failed = cmp.Or(v.failed, cli.Mark(err, cli.ErrSink))
	v.mu.Unlock()
	if !v.end() {
		v.log.Error(err.Error())
	}
}

// end notes that a sink has ended, and ends the run if that was the last one,
// which it reports.
func (v *viewer) end() (last bool) {
	v.mu.Lock()
	v.ended++
	v.mu.Unlock()
	if last = v.sinks() == 0; last {
		v.done()
	}
	return last
}

// sinks returns how many there are that have not ended.
func (v *viewer) sinks() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := len(v.o.loopback.nodes) - v.ended
	for _, named := range []bool{v.o.window, v.o.record.path != "", v.o.snapshot != ""} {
		if named {
			n++
		}
	}
	return n
}

// addSinks opens what the flags name. The first of the sinks is the one whose
// latency is measured.
func (v *viewer) addSinks(cameras virtualcam.Options) error {
	measure := v.presented
	if v.o.window {
		// The window itself reports when a picture was shown.
		v.window = newWindowSink(v)
		v.window.connect(v.windowHooks())
		v.demand.need(true)
		if err := v.fanout.Add("window", v.window.open, nil); err != nil {
			return err
		}
		v.fanout.Tap(v.window.received)
		measure = nil
	}
	if len(v.o.loopback.nodes) > 0 {
		if err := v.addCameras(cameras, measure != nil); err != nil {
			return err
		}
		measure = nil
	}
	if v.o.snapshot != "" {
		if err := v.addSnapshot(measure); err != nil {
			return err
		}
		measure = nil
	}
	if v.o.record.path == "" {
		return nil
	}
	return v.addRecorder(measure)
}

// presented counts a frame that has reached its sink.
func (v *viewer) presented(f *capture.Frame) { v.meter.Add(&f.At, time.Now()) }

// Connected implements transport.Consumer.
func (v *viewer) Connected(peer transport.Peer) {
	v.log.Info(fmt.Sprintf("%v is there", peer))
	v.say("Waiting for the camera", "waiting for the camera")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status, v.host = transport.Status{}, peer.Host
	v.wishes.connected()
}

// Mode implements transport.Consumer.
func (v *viewer) Mode(mode transport.Mode) {
	v.log.Info("camera is on", "camera", mode.Camera, "mode", mode.Source)
	v.outage.reset()
	v.say("", "")
	v.mu.Lock()
	v.mode = mode
	v.mu.Unlock()
	v.modes.setMode(mode)
	if v.window != nil {
		v.window.setMode(mode)
	}
}

// Frame implements transport.Consumer.
func (v *viewer) Frame(f *capture.Frame, lost capture.Lost) {
	v.mu.Lock()
	v.lost = lost
	v.mu.Unlock()
	v.outage.noteReceived()
	if v.over {
		f.Release()
		return
	}
	v.frames++
	if v.frames == 1 && v.o.duration > 0 {
		time.AfterFunc(v.o.duration, v.done)
	}
	v.fanout.Frame(f)
	if v.frames == v.o.frames {
		v.over = true
		v.done()
	}
}

// Lost implements transport.Consumer.
func (v *viewer) Lost(lost capture.Lost) {
	v.mu.Lock()
	more := lost.Since(v.lost)
	v.lost = lost
	v.mu.Unlock()
	v.outage.noteLost(more)
}

// Status implements transport.Consumer.
func (v *viewer) Status(status transport.Status) {
	v.modes.setStatus(status)
	v.mu.Lock()
	same := status == v.status
	v.status = status
	v.mu.Unlock()
	if same {
		return
	}
	switch status.State {
	case transport.Waiting, transport.Failed:
		v.outage.reset()
		if !v.giveUpSnapshot(status) {
			v.log.Warn("no picture", "err", status.Text)
			v.say(noSignal(status.Text), status.Text)
		}
	case transport.Running:
		v.setRunning(status.Text)
	case transport.Idle:
		v.outage.reset()
	}
}

// setRunning takes note that the camera is on, and why there is nothing to show of it.
func (v *viewer) setRunning(trouble string) {
	if trouble != "" {
		v.outage.noteStated(trouble)
		return
	}
	v.outage.reset()
	v.say("", "")
}

// reportOutage says why nothing is shown of a camera that is on, or with "" that
// frames show again.
func (v *viewer) reportOutage(cause string) {
	if cause == "" {
		v.log.Info("frames show again")
		v.say("", "")
		return
	}
	v.log.Warn("nothing to show", "err", cause)
	v.say(noSignal(cause), cause)
}

// Disconnected implements transport.Consumer.
func (v *viewer) Disconnected(err error) {
	select {
	case <-v.ending: // it is this side that goes
	default:
		v.log.Info("the sender is gone", "why", err)
	}
	v.outage.reset()
	v.say(gone(err), waitingForSender)
	v.modes.clear()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.before.Add(v.lost)
	v.lost = capture.Lost{}
}

const waitingForSender = "waiting for tbcam-send"

// say tells the window what to show over the picture, and the virtual cameras what
// they wait for; both are "" when pictures are to come.
func (v *viewer) say(message, notice string) {
	v.mu.Lock()
	v.notice = notice
	v.mu.Unlock()
	for _, c := range v.cameras {
		c.Notice(notice)
	}
	if v.window != nil {
		v.window.message(message)
	}
}

// lostInAll returns what the senders of all sessions have lost.
func (v *viewer) lostInAll() capture.Lost {
	v.mu.Lock()
	defer v.mu.Unlock()
	lost := v.before
	lost.Add(v.lost)
	return lost
}

// summary returns the figures so far.
func (v *viewer) summary() meter.Summary {
	received, decoded, lost := v.receiver.Stats(), v.fanout.Stats(), v.lostInAll()
	outcomes := append([]meter.Outcome{{Name: "sent", Count: received.Frames + received.Lost}}, meter.SenderOutcomes(lost)...)
	outcomes = append(outcomes,
		meter.Outcome{Name: "lost on the link", Count: received.Lost},
		meter.Outcome{Name: "not decodable", Count: decoded.Damaged},
		meter.Outcome{Name: "superseded before showing", Count: decoded.Superseded + v.unseen()},
	)
	summary := meter.Summary{Program: "tbcam-view", Counted: v.counted(), Report: v.meter.Report(received.Bytes)}
	if r := v.recording(); r != nil {
		summary.Recorder = r.report()
		outcomes = append(outcomes, summary.Recorder.Outcomes()...)
	}
	summary.Clock, summary.Outcomes = v.clock(), outcomes
	return summary
}

// clock returns how well the sender's clock is known.
func (v *viewer) clock() *meter.Clock {
	estimate := v.receiver.Clock()
	if estimate == nil {
		return nil
	}
	offset, uncertainty, ok := estimate.Estimate()
	if !ok {
		return nil
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return &meter.Clock{Offset: ms(offset), Uncertainty: ms(uncertainty)}
}

// recording returns the recorder, nil where there is none.
func (v *viewer) recording() *recording {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.recorder
}

// counted says what the measured sink does with frames.
func (v *viewer) counted() string {
	switch {
	case v.window != nil:
		return "shown"
	case len(v.cameras) > 0:
		return "republished"
	}
	return "received"
}

func (v *viewer) unseen() uint64 {
	if v.window == nil {
		return 0
	}
	return v.window.superseded()
}
