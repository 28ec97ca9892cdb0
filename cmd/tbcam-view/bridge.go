package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/preset"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/transport"
)

// downstream is what a bridge hands frames and news to; sink.Fanout is one. None of
// its methods waits.
type downstream interface {
	Frame(f *capture.Frame) // which takes over the reference
	Notice(n sink.Notice)
	ModeChanged(camera string, mode capture.Mode)
	ControlsChanged(controls []capture.Control)
}

// bridge is one far stream: it receives, asks for what the outputs need, and knows
// the state that the sender reported. It implements transport.Consumer.
type bridge struct {
	bridgeConfig
	out      downstream
	receiver *transport.Receiver
	far      *hub.Subscription
	demand   *demand
	desired  *desiredControls
	outage   *outage

	mu     sync.Mutex
	notice sink.Notice  // the last one
	lost   capture.Lost // the sender's totals of this session
	before capture.Lost // and of those before it
	status transport.Status
	mode   transport.Mode // of what is being received
	on     bool           // the camera is on since that was reported
	host   string         // and its host
	there  bool           // the sender is connected
	camera string         // that the sender would turn on, as far as it is known
}

// bridgeConfig is what a bridge is made for.
type bridgeConfig struct {
	want     capture.Want
	preset   preset.Preset
	keepRate bool
	log      *slog.Logger
	ending   <-chan struct{} // closed when this side is about to disconnect
	// giveUp reports whether the run ends because of a status.
	giveUp func(transport.Status) bool
	// takesRaw reports whether no output has a use for JPEGs.
	takesRaw func() bool
}

// bridgeConfig returns what the flags ask of the far stream.
func (o *options) bridgeConfig() (c bridgeConfig, err error) {
	if c.want, err = o.want.Want(); err != nil {
		return c, err
	}
	c.keepRate = o.controls.keepRate
	c.preset, err = o.controls.loadPreset()
	return c, err
}

// newBridge returns a bridge of a shared stream, on which it asks for nothing yet.
func newBridge(s *sharedStream, out downstream, outage *outage, c bridgeConfig) *bridge {
	b := &bridge{bridgeConfig: c, out: out, outage: outage, receiver: s.receiver}
	b.far = s.Subscribe(b)
	b.desired = &desiredControls{preset: c.preset, keepRate: c.keepRate, log: c.log, setControl: b.far.SetControl}
	b.demand = &demand{stream: b.far, want: c.want, takesRaw: c.takesRaw}
	return b
}

// Connected implements transport.Consumer.
func (b *bridge) Connected(peer transport.Peer) {
	b.log.Info(fmt.Sprintf("connected to %v", peer))
	b.showNotice(sink.Notice{
		Heading: "Waiting for the camera", Detail: fmt.Sprintf("Connected to %v", peer), Brief: "waiting for the camera",
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.host, b.there = transport.Status{State: transport.Idle}, peer.Host, true
	b.desired.noteConnected()
}

// Mode implements transport.Consumer.
func (b *bridge) Mode(mode transport.Mode) {
	b.mu.Lock()
	same := b.on && mode.Camera == b.mode.Camera && mode.Source == b.mode.Source
	b.mode, b.on = mode, true
	if b.status.State == transport.Idle { // plain MJPEG has no status
		b.status = transport.Status{State: transport.Running}
	}
	b.mu.Unlock()
	if same {
		b.log.Debug("codec changed", "format", mode.Format, "reason", mode.Reason)
		return
	}
	b.log.Info("camera is on", "camera", mode.Camera, "mode", mode.Source)
	b.outage.resetOutage()
	b.showNotice(sink.Notice{})
	b.out.ModeChanged(mode.Camera, mode.Source)
}

// Frame implements transport.Consumer.
func (b *bridge) Frame(f *capture.Frame, lost capture.Lost) {
	b.mu.Lock()
	b.lost = lost
	b.mu.Unlock()
	b.outage.noteReceived()
	b.out.Frame(f)
}

// Lost implements transport.Consumer.
func (b *bridge) Lost(lost capture.Lost) {
	b.mu.Lock()
	more := lost.Since(b.lost)
	b.lost = lost
	b.mu.Unlock()
	b.outage.noteLost(more)
}

// Status implements transport.Consumer.
func (b *bridge) Status(status transport.Status) {
	b.mu.Lock()
	same := status == b.status
	b.status = status
	b.on = b.on && (status.State == transport.Running || status.State == transport.Refused)
	b.mu.Unlock()
	if same {
		return
	}
	switch status.State {
	case transport.Waiting, transport.Failed:
		b.outage.resetOutage()
		if status.Cause == hub.Conflict && b.demand.isRequested(status.Request) {
			b.handleConflict(status)
			return
		}
		if !b.giveUp(status) {
			b.log.Warn("no picture: " + status.Text)
			b.showNotice(noSignal(status.Text))
		}
	case transport.Running:
		b.setRunning(status.Text)
	case transport.Idle:
		b.outage.resetOutage()
	}
}

// handleConflict reacts to a camera that runs in another mode than was asked for, for
// another viewer of this host. One that has just been started ends; one that had frames
// before takes them as they are.
func (b *bridge) handleConflict(status transport.Status) {
	if b.giveUp(status) {
		return
	}
	b.log.Warn("showing the camera in the mode that another viewer has chosen", "err", status.Text)
	b.demand.join()
}

// setRunning notes that the camera is on, and why there is nothing to show of it.
func (b *bridge) setRunning(trouble string) {
	if trouble != "" {
		b.outage.noteStated(trouble)
		return
	}
	b.outage.resetOutage()
	b.showNotice(sink.Notice{})
}

// reportOutage reports why a camera that is on shows nothing, or with "" that
// frames show again.
func (b *bridge) reportOutage(cause string) {
	if cause == "" {
		b.log.Info("frames are shown again")
		b.showNotice(sink.Notice{})
		return
	}
	b.log.Warn("nothing to show", "err", cause)
	b.showNotice(noSignal(cause))
}

// Disconnected implements transport.Consumer.
func (b *bridge) Disconnected(err error) {
	select {
	case <-b.ending: // it is this side that goes
	default:
		logLost(b.log, err)
	}
	b.outage.resetOutage()
	b.showNotice(senderGone(err))
	b.out.ControlsChanged(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before.Add(b.lost)
	b.lost, b.there, b.on = capture.Lost{}, false, false
}

// ControlsChanged implements transport.Consumer.
func (b *bridge) ControlsChanged(c transport.Controls) {
	b.desired.controlsChanged(c)
	b.mu.Lock()
	b.camera = c.Camera
	b.mu.Unlock()
	b.out.ControlsChanged(listShown(c))
}

// listShown returns the controls as outputs show them: those of a sender that allows no
// changes are read-only.
func listShown(c transport.Controls) []capture.Control {
	if !c.Locked {
		return c.List
	}
	list := slices.Clone(c.List)
	for i := range list {
		list[i].ReadOnly = true
	}
	return list
}

// OtherSet implements hub.SettingListener: what tbcam-view control has set is desired, too.
func (b *bridge) OtherSet(controls transport.Controls, granted capture.Setting) {
	b.desired.rememberSetting(controls, granted)
}

// setControl sets a control of the far camera for the user, and does not wait.
// done, if not nil, is called by another goroutine with what was granted.
func (b *bridge) setControl(s capture.Setting, done func(capture.Setting, error)) {
	now := b.far.Controls()
	b.far.SetControl(s, func(granted capture.Setting, err error) {
		if err == nil {
			b.desired.rememberSetting(now, granted)
		}
		if done != nil {
			done(granted, err)
		}
	})
}

const waitingForSender = "waiting for tbcam-send"

// showNotice has the outputs show a notice, or with the zero value frames.
func (b *bridge) showNotice(n sink.Notice) {
	b.mu.Lock()
	b.notice = n
	b.mu.Unlock()
	b.out.Notice(n)
}

// senderGone returns the notice of a session that ended.
func senderGone(err error) sink.Notice {
	cause := capitalizeFirst(disconnectCause(err).Error())
	since := time.Now().Format(time.TimeOnly)
	return sink.Notice{Heading: "No signal", Detail: cause + ".\nWaiting for tbcam-send since " + since, Brief: waitingForSender}
}

// logLost logs that a session with the sender has ended.
func logLost(log *slog.Logger, err error) {
	if errors.Is(err, io.EOF) { // which is no reason
		err = nil
	}
	log.Info("lost the connection to the sender", "err", err)
}

// disconnectCause returns the reason for the end of a session, for a person.
func disconnectCause(err error) error {
	if errors.Is(err, io.EOF) {
		return errConnectionLost
	}
	return err
}

var errConnectionLost = errors.New("lost the connection")

// noSignal returns the notice of a camera that shows nothing from now on.
func noSignal(cause string) sink.Notice { return noSignalSince(cause, time.Now()) }

func noSignalSince(cause string, since time.Time) sink.Notice {
	return sink.Notice{Heading: "No signal", Detail: capitalizeFirst(cause) + "\nsince " + since.Format(time.TimeOnly), Brief: cause}
}

// capitalizeFirst returns a text with its first letter in upper case, as the window
// shows texts; names of programs stay as they are.
func capitalizeFirst(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 || strings.HasPrefix(text, "tbcam-") {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// waitingFor returns what is being waited for, and the last status of the sender.
func (b *bridge) waitingFor() (brief string, status transport.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notice.Brief, b.status
}

// describeStatus returns whether the far camera is on, and who sends.
func (b *bridge) describeStatus() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	camera := "camera off; "
	switch {
	case !b.there:
		return camera + waitingForSender
	case b.status.State == transport.Running:
		camera = "camera on; "
	}
	return camera + capture.Printable(b.host) + " connected"
}

// currentMode returns the mode of what is being received, and the sender's host.
func (b *bridge) currentMode() (mode transport.Mode, host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mode, b.host
}

// farCamera returns the name of the camera whose frames come or would come, "" before it is
// known, and its host.
func (b *bridge) farCamera() (camera, host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if camera = b.want.Camera; camera == "" || camera == "auto" {
		camera = b.camera
	}
	return cmp.Or(b.mode.Camera, camera), b.host
}

// codecNow returns what frames come as, "" before the first camera, and why where the sender
// had the choice.
func (b *bridge) codecNow() (name, reason string) {
	mode, _ := b.currentMode()
	switch {
	case mode.Number == 0:
		return "", ""
	case mode.Source.Pixel.Compressed():
		return codec.Copy.String(), mode.Reason
	case mode.Format.Pixel.Compressed():
		return codec.JPEG.String(), mode.Reason
	}
	return codec.Raw.String(), mode.Reason
}

// describeState adds to a summary what flows, or why nothing does.
func (b *bridge) describeState(s *meter.Summary) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Camera = b.mode.Camera
	switch {
	case !b.there:
		s.State, s.Reason = meter.Waiting, b.notice.Brief
	case b.notice == (sink.Notice{}) && b.status.State != transport.Idle:
		s.State, s.Mode = meter.Streaming, meter.NewMode(b.mode.Source)
	case b.status.State == transport.Idle:
		s.State = meter.Connected
	default:
		s.State, s.Reason = meter.NoSignal, b.notice.Brief
	}
}

// isConnected reports whether the sender is connected.
func (b *bridge) isConnected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.there
}

// totalLost returns what the senders of all sessions have lost.
func (b *bridge) totalLost() capture.Lost {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost := b.before
	lost.Add(b.lost)
	return lost
}

// clockQuality returns how well the sender's clock is known.
func (b *bridge) clockQuality() *meter.Clock {
	estimate := b.receiver.Clock()
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
