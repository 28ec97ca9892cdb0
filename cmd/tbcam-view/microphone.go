package main

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/transport"
)

// recordedAudio is the format of the track of recordings. It must be known before the
// microphone is, and holds for whichever comes later.
var recordedAudio = capture.Stereo

// registerMicrophone adds the flags of the far microphone.
func (o *options) registerMicrophone(f *pflag.FlagSet) {
	f.StringVar(&o.microphone, "microphone", "", "`MICROPHONE` of the other computer to record, play or publish: auto, or part of a name")
}

// checkMicrophone refuses a microphone that nothing would be heard of.
func (o *options) checkMicrophone() error {
	switch {
	case o.microphone == "" || o.playback.plays():
		return nil
	case o.record.path == "":
		return errors.New("--microphone needs an output: --virtual-microphone, --listen or --record FILE.mkv")
	}
	return o.checkRecordedAudio()
}

// checkRecordedAudio returns why the recording cannot have a track of the microphone, nil where
// it can.
func (o *options) checkRecordedAudio() error {
	if o.record.every > 0 {
		return errors.New("--microphone: a time-lapse (--every) has no audio")
	}
	r, err := o.record.recordOptions(false)
	if err == nil {
		err = r.Kind.CheckAudio(recordedAudio)
	}
	if err != nil {
		return fmt.Errorf("--microphone: %w", err)
	}
	return nil
}

// farMicrophoneName returns which microphone is heard, "" for none.
func (o *options) farMicrophoneName() string {
	if o.microphone == "" && o.playback.plays() {
		return "auto"
	}
	return o.microphone
}

// farMicrophones returns the microphones of the sender, as farCameras does.
func (o *options) farMicrophones(c *cobra.Command) []capture.Device {
	return capture.OfKind(o.farDevices(c), capture.Audio)
}

// farMicrophone is the microphone of the sender: it is received while an output listens, for
// all that do. It implements transport.Consumer.
type farMicrophone struct {
	transport.NopConsumer
	log    *slog.Logger
	out    func(*capture.Frame) // of blocks; takes over the reference and does not wait
	far    *hub.Subscription
	demand *demand
	meter  *meter.Meter

	mu     sync.Mutex
	there  bool // the sender is connected
	status transport.Status
	name   string       // of the microphone that was heard last
	lost   capture.Lost // the sender's totals of this session
	before capture.Lost // and of those before it
}

// newFarMicrophone returns the microphone of a name, on which it asks for nothing yet.
func newFarMicrophone(h *hub.Hub, name string, out func(*capture.Frame), log *slog.Logger) *farMicrophone {
	m := &farMicrophone{log: log, out: out, meter: meter.New()}
	m.far = h.Subscribe(m)
	m.demand = &demand{stream: m.far, want: capture.Want{Kind: capture.Audio, Camera: name}}
	return m
}

// Connected implements transport.Consumer.
func (m *farMicrophone) Connected(transport.Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there, m.status = true, transport.Status{State: transport.Idle}
}

// Mode implements transport.Consumer.
func (m *farMicrophone) Mode(mode transport.Mode) {
	m.log.Info("microphone is on", "microphone", mode.Camera, "format", mode.Format)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name = mode.Camera
}

// Frame implements transport.Consumer.
func (m *farMicrophone) Frame(f *capture.Frame, lost capture.Lost) {
	m.Lost(lost)
	m.meter.Add(&f.At, time.Now())
	m.out(f)
}

// Lost implements transport.Consumer.
func (m *farMicrophone) Lost(lost capture.Lost) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = lost
}

// Status implements transport.Consumer.
func (m *farMicrophone) Status(status transport.Status) {
	m.mu.Lock()
	before := m.status
	m.status = status
	m.mu.Unlock()
	silent := status.State == transport.Waiting || status.State == transport.Failed
	if silent && (status.State != before.State || status.Text != before.Text) {
		m.log.Warn("no sound: " + status.Text)
	}
}

// Disconnected implements transport.Consumer.
func (m *farMicrophone) Disconnected(error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before.Add(m.lost)
	m.lost, m.there = capture.Lost{}, false
}

// summarize returns the figures so far.
func (m *farMicrophone) summarize(unheard uint64) meter.Summary {
	received := m.far.Stats()
	s := meter.Summary{
		Time: time.Now(), Program: "tbcam-view", Kind: meter.Microphone, Counted: "received", Several: true,
		Report: m.meter.Report(received.Bytes),
	}
	lost := m.describeState(&s)
	s.Outcomes = append([]meter.Outcome{{Name: "sent", Count: received.Frames + received.Lost}}, meter.SenderOutcomes(lost)...)
	s.Outcomes = append(s.Outcomes,
		meter.Outcome{Name: "lost on the link", Count: received.Lost},
		meter.Outcome{Name: "dropped by outputs", Count: unheard},
	)
	return s
}

// describeState adds to a summary what is heard, or why nothing is, and returns what the
// senders of all sessions have lost.
func (m *farMicrophone) describeState(s *meter.Summary) (lost capture.Lost) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Camera = m.name
	switch {
	case !m.there:
		s.State, s.Reason = meter.Waiting, waitingForSender
	case m.status.State == transport.Running:
		s.State = meter.Streaming
	case m.status.State == transport.Idle:
		s.State = meter.Connected
	default:
		s.State, s.Reason = meter.NoSignal, m.status.Text
	}
	lost = m.before
	lost.Add(m.lost)
	return lost
}

// noteNeeds notes that one more output is there, which needs what it takes from the start, or
// one less. Those that need something at times note that themselves.
func (r *run) noteNeeds(o sink.Output, yes bool) {
	if o.Takes() != sink.Nothing {
		r.bridge.demand.noteNeed(yes)
	}
	if l, ok := o.(sink.Listener); ok && l.Listens() {
		r.microphone.demand.noteNeed(yes)
	}
}
