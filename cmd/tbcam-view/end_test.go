package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/transport"
)

// newViewer returns a viewer without a stream, what it asks the sender, and how
// often it has ended.
func newViewer(o options) (v *viewer, a *asked, ended *int) {
	a, ended = new(asked), new(int)
	v = &viewer{
		o: o, log: slog.New(slog.DiscardHandler), done: func() { *ended++ },
		demand: &demand{receiver: a}, receiver: &transport.Receiver{},
	}
	v.outage = &outage{report: v.reportOutage}
	return v, a, ended
}

// TestLastSinkEndsTheRun: in whichever order the user closes the window and a
// recording fails, the second of them leaves nothing to do.
func TestLastSinkEndsTheRun(t *testing.T) {
	full := errors.New("disk full")
	for _, windowFirst := range []bool{true, false} {
		v, _, ended := newViewer(options{window: true, record: recordFlags{path: "a.mkv"}})
		steps := []func(){newWindowSink(v).quit, func() { v.fail(full) }}
		if !windowFirst {
			steps[0], steps[1] = steps[1], steps[0]
		}
		v.demand.need(true)
		v.demand.need(true)
		steps[0]()
		if *ended != 0 {
			t.Errorf("window first %v: the first end is the run's", windowFirst)
		}
		steps[1]()
		if *ended != 1 {
			t.Errorf("window first %v: it ended %d times, want once", windowFirst, *ended)
		}
		if !errors.Is(v.failed, full) || cli.ExitCode(v.failed) != cli.ExitSink {
			t.Errorf("window first %v: it ended with %v", windowFirst, v.failed)
		}
	}
}

// TestRecordingThatFailed: it needs no pictures any more, and does not say that it
// is started again.
func TestRecordingThatFailed(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	v, a, ended := newViewer(options{record: recordFlags{path: "-"}})
	v.demand.need(true)
	recorder, err := record.New(record.Options{Out: full, Kind: container.MJPEG, Sync: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{Recorder: recorder, viewer: v}
	pool := &capture.Pool{}
	waitFor(t, "the recording to fail", func() bool {
		f := pool.Get(100)
		f.Format = capture.Format{Pixel: capture.MJPEG, Width: 16, Height: 16}
		f.Time = time.Now()
		r.take(f)
		return *ended > 0
	})
	if got := fmt.Sprint(*a); got != "[start  stop]" {
		t.Errorf("the sender is asked %s", got)
	}
	if said := r.toggle(); !strings.Contains(said, "has ended") || !strings.Contains(said, "no space") {
		t.Errorf("a key says %q", said)
	}
	if err := r.Close(); err == nil {
		t.Error("Close says nothing of it")
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// TestSenderIsGone: what a sender said last is not why there is no camera now.
func TestSenderIsGone(t *testing.T) {
	v, _, _ := newViewer(options{})
	v.modes = newModes(capture.Want{}, v.demand)
	for _, c := range []struct {
		what string
		do   func()
		want string
	}{
		{"unplugged", func() { v.Status(transport.Status{State: transport.Waiting, Text: "no such device"}) }, "no such device"},
		{"gone", func() { v.Disconnected(errors.New("bye")) }, "waiting for tbcam-send"},
	} {
		c.do()
		if _, err := v.modes.now(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}
