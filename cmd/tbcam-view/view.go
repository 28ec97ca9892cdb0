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
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/loopback"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/record"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/sink"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/snapshot"
	"github.com/tbcam/tbcam/transport"
)

// viewer is what one run of tbcam-view consists of. It implements
// transport.Viewer.
type viewer struct {
	o        options
	log      *slog.Logger
	done     context.CancelFunc // ends the run
	pool     *capture.Pool
	fanout   *sink.Fanout
	receiver *transport.Receiver
	demand   *demand
	recorder *record.Recorder   // nil without --record
	window   *windowSink        // nil without --window
	cameras  []*loopback.Camera // virtual ones
	meter    *meter.Meter

	frames uint64 // received; of Frame alone
	over   bool   // no more frames are wanted; of Frame alone

	mu     sync.Mutex
	lost   capture.Lost // the sender's totals of this session
	before capture.Lost // and of those before it
	status transport.Status
	camera string // that is being received
	host   string // and its host
	failed error  // the first sink that ended for good
}

func view(ctx context.Context, o options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	want, err := o.want.Want()
	if err != nil {
		return err
	}
	cameras, err := o.loopback.options(want)
	if err != nil {
		return err
	}
	log := cli.NewLog(os.Stderr, "tbcam-view", cli.Level(o.verbose))
	ctx, done := context.WithCancel(ctx)
	defer done()
	pool := &capture.Pool{}
	v := &viewer{
		o: o, log: log, done: done, pool: pool, meter: meter.New(),
	}
	v.fanout = sink.NewFanout(v.newDecoder(), log)
	link, err := cli.ViewerLink(o.stream, log)
	if err != nil {
		return err
	}
	defer link.Close()
	plain, err := newPlainPictures(pool)
	if err != nil {
		return err
	}
	v.receiver = &transport.Receiver{Link: link, Viewer: v, Pool: pool, Version: version, Log: log, Plain: plain.take}
	v.demand = &demand{receiver: v.receiver, want: want}
	if err := v.addSinks(cameras); err != nil {
		return cli.Mark(err, cli.ErrSink)
	}
	defer o.stats.Start(os.Stdout, v.summary)()
	log.Info("waiting for tbcam-send", "stream", o.stream)
	v.say("waiting for tbcam-send at " + o.stream)
	return v.run(ctx)
}

// run receives until the context ends, and then lets the sinks finish.
func (v *viewer) run(ctx context.Context) error {
	var sinks sync.WaitGroup
	sinks.Go(v.fanout.Run)
	err := cli.Mark(v.receiver.Run(ctx), cli.ErrStream)
	v.fanout.Close()
	sinks.Wait()
	if v.recorder != nil {
		if closing := v.recorder.Close(); err == nil {
			err = cli.Mark(closing, cli.ErrSink)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return cmp.Or(err, v.failed)
}

// fail notes that a sink has ended for good, and ends the run where it was the
// only one.
func (v *viewer) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = cmp.Or(v.failed, cli.Mark(err, cli.ErrSink))
	if v.sinks() == 1 {
		v.done()
	} else {
		v.log.Error(err.Error())
	}
}

// sinks returns how many there are.
func (v *viewer) sinks() int {
	n := len(v.o.loopback.nodes)
	for _, named := range []bool{v.o.window, v.o.record != "", v.o.snapshot != ""} {
		if named {
			n++
		}
	}
	return n
}

// addSinks opens what the flags name. The first of the sinks is the one whose
// latency is measured.
func (v *viewer) addSinks(cameras loopback.Options) error {
	measure := v.presented
	if v.o.window {
		// The window itself reports when a picture was shown.
		v.window = &windowSink{viewer: v}
		if err := v.fanout.Add("window", v.window.open, nil); err != nil {
			return err
		}
		v.demand.need(true)
		measure = nil
	}
	if len(v.o.loopback.nodes) > 0 {
		if err := v.addCameras(cameras, measure != nil); err != nil {
			return err
		}
		measure = nil
	}
	if v.o.snapshot != "" {
		open := func() (sink.Sink, error) { return &snapshotSink{v}, snapshot.Check(v.o.snapshot, v.o.force) }
		if err := v.fanout.Add("snapshot", open, measure); err != nil {
			return err
		}
		v.demand.need(true)
		measure = nil
	}
	if v.o.record == "" {
		return nil
	}
	return v.addRecorder(measure)
}

func (v *viewer) addRecorder(measure func(*capture.Frame)) error {
	recorder, err := record.Create(v.o.record, record.Options{Force: v.o.force, Origin: v.origin, Log: v.log})
	if err != nil {
		return err
	}
	v.recorder = recorder
	v.demand.need(true)
	failed := false
	v.fanout.Tap(func(f *capture.Frame) {
		if measure != nil {
			measure(f)
		}
		if err := recorder.Write(f); err != nil && !failed {
			failed = true
			v.demand.need(false)
			v.fail(err)
		}
	})
	return nil
}

// origin names the camera that is being received and its host.
func (v *viewer) origin() (camera, host string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.camera, v.host
}

// presented counts a frame that has reached its sink.
func (v *viewer) presented(f *capture.Frame) { v.meter.Add(&f.At, time.Now()) }

// Connected implements transport.Viewer.
func (v *viewer) Connected(peer transport.Peer) {
	v.log.Info(fmt.Sprintf("%v is there", peer))
	v.say("waiting for the camera")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status, v.host = transport.Status{}, peer.Host
}

// Mode implements transport.Viewer.
func (v *viewer) Mode(mode transport.Mode) {
	v.log.Info("camera is on", "camera", mode.Camera, "mode", mode.Source)
	v.say("")
	v.mu.Lock()
	v.camera = mode.Camera
	v.mu.Unlock()
	if v.window != nil {
		v.window.title(fmt.Sprintf("%s, %v - tbcam", mode.Camera, mode.Source))
	}
}

// Frame implements transport.Viewer.
func (v *viewer) Frame(f *capture.Frame, lost capture.Lost) {
	v.mu.Lock()
	v.lost = lost
	v.mu.Unlock()
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

// Status implements transport.Viewer.
func (v *viewer) Status(status transport.Status) {
	v.mu.Lock()
	same := status == v.status
	v.status = status
	v.mu.Unlock()
	if same {
		return
	}
	switch status.State {
	case transport.Waiting, transport.Failed:
		v.log.Warn("no picture", "why", status.Text)
		v.say("no picture: " + status.Text)
		v.announce(status.Text)
	case transport.Running:
		v.say("")
	}
}

// Disconnected implements transport.Viewer.
func (v *viewer) Disconnected(err error) {
	v.log.Info("the sender is gone", "why", err)
	v.say("no signal since " + time.Now().Format("15:04:05") + ": waiting for tbcam-send")
	v.announce("waiting for tbcam-send")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.before.Add(v.lost)
	v.lost = capture.Lost{}
}

func (v *viewer) say(message string) {
	v.announce(message)
	if v.window != nil {
		v.window.message(message)
	}
}

// summary returns the figures so far.
func (v *viewer) summary() meter.Summary {
	received, decoded := v.receiver.Stats(), v.fanout.Stats()
	v.mu.Lock()
	lost := v.before
	lost.Add(v.lost)
	v.mu.Unlock()
	fates := append([]meter.Fate{{Name: "sent", Count: received.Frames + received.Lost}}, meter.Fates(lost)...)
	fates = append(fates,
		meter.Fate{Name: "lost on the link", Count: received.Lost},
		meter.Fate{Name: "not decodable", Count: decoded.Damaged},
		meter.Fate{Name: "superseded before showing", Count: decoded.Superseded + v.unseen()},
	)
	if v.recorder != nil {
		s := v.recorder.Stats()
		fates = append(fates, meter.Fate{Name: "recorded", Count: s.Frames}, meter.Fate{Name: "dropped by the recorder", Count: s.Dropped})
	}
	return meter.Summary{Program: "tbcam-view", Counted: v.counted(), Report: v.meter.Report(received.Bytes), Fates: fates}
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

// snapshotSink writes the first good picture and ends the run.
type snapshotSink struct{ v *viewer }

func (s *snapshotSink) Present(f *capture.Frame) error {
	defer f.Release()
	defer s.v.done()
	if err := snapshot.Write(s.v.o.snapshot, f); err != nil {
		s.v.fail(err)
	}
	return sink.ErrDone
}

func (s *snapshotSink) Close() error { return nil }
