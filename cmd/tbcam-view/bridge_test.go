package main

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/transport"
)

// TestFarCamera: applications learn which camera a virtual one stands for with the
// connection, and then which one it is.
func TestFarCamera(t *testing.T) {
	r, _, _ := newTestRun(t, options{})
	b := r.bridge
	want := func(when, name string) {
		t.Helper()
		if camera, host := b.farCamera(); camera != name || host != "laptop" {
			t.Errorf("%s it is %q on %q, want %q", when, camera, host, name)
		}
	}
	b.Connected(transport.Peer{Host: "laptop"})
	want("at first", "")
	b.ControlsChanged(transport.Controls{Camera: "Integrated camera"})
	want("with its controls", "Integrated camera")
	b.want.Camera = "usb"
	want("where another is asked for", "usb")
	b.Mode(transport.Mode{Camera: "USB camera"})
	want("when it is on", "USB camera")
	b.ControlsChanged(transport.Controls{})
	want("when it is off", "USB camera")
}

// TestDescribeState: a viewer that is connected does not watch before somebody asks for frames.
func TestDescribeState(t *testing.T) {
	mode := transport.Mode{Camera: "C920", Source: capture.Mode{Pixel: capture.YUYV, Width: 640, Height: 480, Rate: capture.Rate{Num: 30, Den: 1}}}
	for _, c := range []struct {
		want meter.Summary
		b    *bridge
	}{
		{meter.Summary{State: meter.Waiting, Reason: "waiting for tbcam-send"}, &bridge{notice: sink.Notice{Brief: waitingForSender}}},
		{meter.Summary{State: meter.Connected}, &bridge{there: true, status: transport.Status{State: transport.Idle}}},
		{meter.Summary{State: meter.Connected, Camera: "C920"}, &bridge{there: true, status: transport.Status{State: transport.Idle}, mode: mode}},
		{meter.Summary{State: meter.Streaming, Camera: "C920"}, &bridge{there: true, status: transport.Status{State: transport.Running}, mode: mode}},
		{meter.Summary{State: meter.NoSignal, Camera: "C920", Reason: "gone"}, &bridge{there: true, status: transport.Status{State: transport.Waiting}, mode: mode, notice: sink.Notice{Heading: "No signal", Brief: "gone"}}},
	} {
		var got meter.Summary
		c.b.describeState(&got)
		if got.State != c.want.State || got.Reason != c.want.Reason || got.Camera != c.want.Camera || (got.Mode != nil) != (c.want.State == meter.Streaming) {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// TestStateBySession: plain MJPEG, which reports no status, streams with its mode; a camera that
// nobody asks for does not.
func TestStateBySession(t *testing.T) {
	r, _, _ := newTestRun(t, options{})
	state := func() meter.State {
		var s meter.Summary
		r.bridge.describeState(&s)
		return s.State
	}
	for _, step := range []struct {
		do   func()
		want meter.State
	}{
		{func() {}, meter.Waiting},
		{func() { r.bridge.Connected(transport.Peer{}) }, meter.Connected},
		{func() { r.bridge.Mode(transport.Mode{Camera: "C920"}) }, meter.Streaming},
		{func() { r.bridge.Status(transport.Status{State: transport.Waiting, Text: "unplugged"}) }, meter.NoSignal},
		{func() { r.bridge.Status(transport.Status{State: transport.Running}) }, meter.Streaming},
		{func() { r.bridge.Status(transport.Status{State: transport.Idle}) }, meter.Connected},
		{func() { r.bridge.Disconnected(io.EOF) }, meter.Waiting},
	} {
		if step.do(); state() != step.want {
			t.Errorf("it is %s, want %s", state(), step.want)
		}
	}
}

// TestCameraIsOnIsLogged: with each session, in whichever order its status and its mode come, and
// after each time that it was off; not where only the codec changes.
func TestCameraIsOnIsLogged(t *testing.T) {
	r, _, _ := newTestRun(t, options{})
	var log bytes.Buffer
	r.bridge.log = slog.New(slog.NewTextHandler(&log, nil))
	status := func(s transport.State) func() {
		return func() { r.bridge.Status(transport.Status{State: s}) }
	}
	connect := func() { r.bridge.Connected(transport.Peer{}) }
	mode := func() { r.bridge.Mode(transport.Mode{Camera: "C920"}) }
	lose := func() { r.bridge.Disconnected(io.EOF) }
	for n, steps := range [][]func(){
		{connect, mode, status(transport.Running)},
		{mode, status(transport.Refused), mode},
		{lose, connect, status(transport.Running), mode},
		{status(transport.Idle), status(transport.Running), mode},
		{status(transport.Waiting), mode, status(transport.Running), mode},
	} {
		log.Reset()
		for _, step := range steps {
			step()
		}
		want := 1
		if n == 1 {
			want = 0
		}
		if got := strings.Count(log.String(), "camera is on"); got != want {
			t.Errorf("steps %d: logged %d times, want %d", n, got, want)
		}
	}
}
