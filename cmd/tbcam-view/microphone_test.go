package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/transport"
)

// listeningOutput is an output that takes blocks beside frames.
type listeningOutput struct{ fakeOutput }

func (*listeningOutput) Listens() bool { return true }

// withMicrophone gives a run a microphone, and returns what it asks the sender.
func withMicrophone(r *run, log *slog.Logger) *asked {
	r.microphone = newFarMicrophone(r.stream.Hub, "desk", r.fanout.Frame, log)
	var a asked
	r.microphone.demand.stream = &a
	return &a
}

// TestMicrophoneIsOnDemand: it is asked for while an output listens, and the camera whoever
// does.
func TestMicrophoneIsOnDemand(t *testing.T) {
	r, watched, _ := newTestRun(t, options{})
	listened := withMicrophone(r, r.log)
	window, recording, other := &struct{ fakeOutput }{}, &listeningOutput{}, &listeningOutput{}
	if err := r.fanout.Add(window, recording, other); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		do            func()
		watch, listen string
	}{
		{func() { r.noteNeeds(window, true) }, "[start ]", "[]"},
		{func() { r.noteNeeds(recording, true) }, "[start ]", "[start desk]"},
		{func() { r.noteNeeds(other, true) }, "[start ]", "[start desk]"},
		{func() { r.fanout.End(other, nil) }, "[start ]", "[start desk]"},
		{func() { r.fanout.End(recording, nil) }, "[start ]", "[start desk stop]"},
		{func() { r.fanout.End(window, nil) }, "[start  stop]", "[start desk stop]"},
	} {
		if step.do(); fmt.Sprint(*watched) != step.watch || fmt.Sprint(*listened) != step.listen {
			t.Errorf("the sender is asked %v and %v, want %s and %s", *watched, *listened, step.watch, step.listen)
		}
	}
}

// TestMicrophoneState: statistics have why nothing is heard, which is logged once, and what all
// sessions have lost.
func TestMicrophoneState(t *testing.T) {
	r, _, _ := newTestRun(t, options{})
	var log strings.Builder
	withMicrophone(r, cli.NewLog(&log, "test", slog.LevelInfo))
	m := r.microphone
	status := func(state transport.State, text string) func() {
		return func() { m.Status(transport.Status{State: state, Text: text}) }
	}
	for _, step := range []struct {
		do    func()
		state meter.State
		why   string
	}{
		{func() {}, meter.Waiting, waitingForSender},
		{func() { m.Connected(transport.Peer{}) }, meter.Connected, ""},
		{status(transport.Waiting, "no microphone"), meter.NoSignal, "no microphone"},
		{status(transport.Waiting, "no microphone"), meter.NoSignal, "no microphone"},
		{status(transport.Running, ""), meter.Streaming, ""},
		{func() { m.Mode(transport.Mode{Camera: "desk", Format: capture.Format{Audio: capture.Mono}}) }, meter.Streaming, ""},
		{func() { m.Lost(capture.Lost{Driver: 3}) }, meter.Streaming, ""},
		{status(transport.Failed, "it is not granted"), meter.NoSignal, "it is not granted"},
		{func() { m.Disconnected(io.EOF) }, meter.Waiting, waitingForSender},
		{func() { m.Lost(capture.Lost{Driver: 2}) }, meter.Waiting, waitingForSender},
	} {
		step.do()
		if s := m.summarize(0); s.State != step.state || s.Reason != step.why || s.Kind != meter.Microphone {
			t.Errorf("it is %s for %q, want %s for %q", s.State, s.Reason, step.state, step.why)
		}
	}
	s := m.summarize(7)
	counts := map[string]uint64{}
	for _, o := range s.Outcomes {
		counts[o.Key()] = o.Count
	}
	if s.Camera != "desk" || counts["dropped_by_the_camera"] != 5 || counts["dropped_by_outputs"] != 7 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(log.String(), "no sound: no microphone"); n != 1 || !strings.Contains(log.String(), "no sound: it is not granted") {
		t.Errorf("log: %s", &log)
	}
}

// countingOutput takes every block as it comes.
type countingOutput struct {
	fakeOutput
	blocks int
}

func (*countingOutput) Takes() sink.Need           { return sink.Every }
func (*countingOutput) Listens() bool              { return true }
func (o *countingOutput) Open() (sink.Sink, error) { return o, nil }
func (o *countingOutput) Present(f *capture.Frame) error {
	o.blocks++
	f.Release()
	return nil
}

// TestBlocksAreNoFrames: each block goes to the outputs that listen; statistics count it apart, and it
// costs no memory.
func TestBlocksAreNoFrames(t *testing.T) {
	r, _, ended := newTestRun(t, options{})
	withMicrophone(r, r.log)
	o := &countingOutput{}
	if err := r.fanout.Add(o); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(4, func() {
		f := r.pool.Get(capture.Mono.BlockSize())
		f.Format = capture.Format{Audio: capture.Mono}
		r.microphone.Frame(f, capture.Lost{})
	}); n > 0 {
		t.Errorf("%v allocations for each block", n)
	}
	if err := r.fanout.Close(); err != nil || o.blocks != 5 || *ended != 0 || r.pool.Outstanding() != 0 {
		t.Errorf("%v: %d blocks, ended %d times, %d outstanding", err, o.blocks, *ended, r.pool.Outstanding())
	}
	if s := r.microphone.summarize(0); s.Frames != 5 {
		t.Errorf("%+v", s)
	}
}
