package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/transport"
)

// fakeOutput is an output that takes frames and shows none.
type fakeOutput struct{ _ int } // so that two are not the same

func (fakeOutput) Name() string                       { return "fake" }
func (fakeOutput) Takes() sink.Need                   { return sink.Received }
func (o fakeOutput) Open() (sink.Sink, error)         { return o, nil }
func (fakeOutput) Present(f *capture.Frame) (_ error) { f.Release(); return nil }
func (fakeOutput) Close() error                       { return nil }

// newTestRun returns a run without a stream, what it asks the sender, and how often
// it has ended.
func newTestRun(t *testing.T, o options) (r *run, a *asked, ended *int) {
	t.Helper()
	a, ended = new(asked), new(int)
	r = &run{o: o, log: slog.New(slog.DiscardHandler), done: func() { *ended++ }, pool: &capture.Pool{}}
	outage := &outage{report: func(cause string) { r.bridge.reportOutage(cause) }}
	r.fanout = sink.NewFanout(sink.Options{Ended: r.outputEnded})
	r.stream = &sharedStream{receiver: &transport.Receiver{}}
	var err error
	if r.stream.Hub, err = hub.New(r.stream.receiver, nil); err != nil {
		t.Fatal(err)
	}
	r.bridge = newBridge(r.stream, r.fanout, outage, bridgeConfig{log: r.log, giveUp: r.giveUp, takesRaw: func() bool { return false }})
	r.bridge.demand.stream = a
	return r, a, ended
}

// TestLastOutputEndsTheRun: in whichever order the user closes the window and a
// recording fails, the second of them leaves nothing to do.
func TestLastOutputEndsTheRun(t *testing.T) {
	full := errors.New("disk full")
	for _, windowFirst := range []bool{true, false} {
		r, a, ended := newTestRun(t, options{})
		window, recording := &struct{ fakeOutput }{}, &struct{ fakeOutput }{}
		if err := r.fanout.Add(window, recording); err != nil {
			t.Fatal(err)
		}
		quit := newWindowOutput(windowConfig{end: func(err error) { r.fanout.End(window, err) }}).handleQuit
		steps := []func(){quit, func() { r.fanout.End(recording, full) }}
		if !windowFirst {
			steps[0], steps[1] = steps[1], steps[0]
		}
		r.bridge.demand.noteNeed(true)
		r.bridge.demand.noteNeed(true)
		steps[0]()
		if *ended != 0 {
			t.Errorf("window first %v: the first end is the run's", windowFirst)
		}
		steps[1]()
		if got := fmt.Sprint(*a); *ended != 1 || got != "[start  stop]" {
			t.Errorf("window first %v: it ended %d times, want once; the sender is asked %s", windowFirst, *ended, got)
		}
		if !errors.Is(r.failed, full) || cli.ExitCode(r.failed) != cli.ExitSink {
			t.Errorf("window first %v: it ended with %v", windowFirst, r.failed)
		}
	}
}

// TestRecordingThatFailed: it needs no frames any more, and does not report that it
// is started again.
func TestRecordingThatFailed(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r, a, ended := newTestRun(t, options{record: recordFlags{path: "-"}})
	r.ctx = t.Context()
	var changes recordingChanges
	o := &recordOutput{run: r, options: record.Options{
		Out: full, Kind: container.MJPEG, Sync: 10 * time.Millisecond, Changed: changes.add,
	}}
	r.outputs = []sink.Output{o}
	r.screen = &screen{file: os.Stderr}
	r.bridge.demand.noteNeed(true)
	if err := r.fanout.Add(o); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the recording to fail", func() bool {
		f := r.pool.Get(100)
		f.Format = capture.Format{Pixel: capture.MJPEG, Width: 16, Height: 16}
		f.Time = time.Now()
		r.fanout.Frame(f)
		return *ended > 0
	})
	if got := fmt.Sprint(*a); got != "[start  stop]" {
		t.Errorf("the sender is asked %s", got)
	}
	done, err := r.toggleRecording()
	if err != nil || !strings.Contains(done, "recording failed") || !strings.Contains(done, "no space") {
		t.Errorf("a key does %q, %v", done, err)
	}
	if on := changes.last(); on {
		t.Error("the last change is a recording that is on")
	}
	if err := r.fanout.Close(); err == nil {
		t.Error("Close reports nothing of it")
	}
	if n := r.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// recordingChanges are the calls of record.Options.Changed.
type recordingChanges struct {
	mu  sync.Mutex
	all []bool
}

func (c *recordingChanges) add(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, on)
}

// last returns the last change, true if there was none.
func (c *recordingChanges) last() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all) == 0 || c.all[len(c.all)-1]
}

// TestSenderIsGone: the last status of a sender is not why there is no camera now.
func TestSenderIsGone(t *testing.T) {
	r, _, _ := newTestRun(t, options{})
	for _, c := range []struct {
		what string
		do   func()
		want string
	}{
		{"unplugged", func() { r.bridge.Status(transport.Status{State: transport.Waiting, Text: "no such device"}) }, "no such device"},
		{"gone", func() { r.bridge.Disconnected(errors.New("bye")) }, "waiting for tbcam-send"},
	} {
		c.do()
		if brief, _ := r.bridge.waitingFor(); brief != c.want {
			t.Errorf("%s: %s, want %s", c.what, brief, c.want)
		}
	}
}
