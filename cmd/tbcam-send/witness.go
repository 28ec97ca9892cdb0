package main

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/tbcam-send/internal/sign"
	"github.com/tbcam/tbcam/transport/trust"
)

// witness shows this host's user which cameras and microphones are on, and for whom, and keeps it in
// the audit log. A nil witness does nothing.
type witness struct {
	sign    *sign.Sign
	store   *trust.Store // nil over a socket: that is this user, or one that --allow-user names
	pairing *cli.Pairing // nil likewise
	log     *slog.Logger

	mu    sync.Mutex
	peer  trust.Peer // of the last session
	since time.Time  // when that began; zero: it has ended
	on    []onCamera
}

// onCamera is a camera that a stream has open, or the microphone.
type onCamera struct {
	stream *supervisor // nil: the microphone
	use    sign.Use
}

// socketPeer stands for the viewer at the other end of a socket.
const socketPeer = "a viewer on this host"

func newWitness(c *catalogue, store *trust.Store, onCommand string, log *slog.Logger) *witness {
	w := &witness{store: store, log: log, peer: trust.Peer{Name: socketPeer, Role: trust.RoleViewer}}
	config := sign.Config{
		Log: log, Command: onCommand, Address: os.Getenv("DBUS_SESSION_BUS_ADDRESS"),
		Stop:   func() { go c.stopCameras() },
		Forget: func() { go w.forget(c) },
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		config.Bell = os.Stderr
	}
	w.sign = sign.New(config)
	return w
}

// forget forgets the present viewer, and has no camera on meanwhile.
func (w *witness) forget(c *catalogue) {
	c.stopCameras()
	w.mu.Lock()
	peer := w.peer
	w.mu.Unlock()
	if w.store == nil || peer.Key == (trust.Fingerprint{}) {
		return // it is no paired computer
	}
	if _, err := w.store.Forget(peer.Role, peer.Name); err != nil {
		w.log.Warn("forget the viewer", "err", cli.Explain(err))
		return
	}
	w.record(trust.Event{Kind: trust.EventForgot, Detail: "in the notification"})
}

// setPeer takes note of the viewer of a session, and reports whether the session is a new
// one: the viewer's rights may change meanwhile.
func (w *witness) setPeer(peer trust.Peer) (fresh bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peer = peer
	if peer.Name == "" {
		w.peer.Name = "an unpaired viewer"
	}
	fresh = w.since.IsZero()
	if fresh {
		w.since = time.Now()
	}
	return fresh
}

// peerLeft takes note that the session has ended.
func (w *witness) peerLeft(frames uint64) {
	w.mu.Lock()
	since := w.since
	w.since = time.Time{}
	w.mu.Unlock()
	if !since.IsZero() {
		w.record(trust.Event{Kind: trust.EventEnded, Frames: frames, Seconds: time.Since(since).Seconds()})
	}
}

// cameraOn takes note that a stream has opened a camera.
func (w *witness) cameraOn(s *supervisor, camera hostCamera, mode capture.Mode) {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.on = append(w.on, onCamera{s, sign.Use{Device: camera.Name, Peer: w.peer.Name, Since: time.Now()}})
	w.show()
	w.mu.Unlock()
	w.record(trust.Event{Kind: trust.EventCameraOn, Camera: camera.Name, Detail: mode.String()})
}

// cameraOff takes note that a stream has closed its camera.
func (w *witness) cameraOff(s *supervisor) { w.turnedOff(s, trust.EventCameraOff) }

// turnedOff takes note that a stream's camera is closed or, without a stream, the microphone.
func (w *witness) turnedOff(s *supervisor, event trust.EventKind) {
	if w == nil {
		return
	}
	w.mu.Lock()
	i := slices.IndexFunc(w.on, func(o onCamera) bool { return o.stream == s })
	if i < 0 {
		w.mu.Unlock()
		return
	}
	use := w.on[i].use
	w.on = slices.Delete(w.on, i, i+1)
	w.show()
	w.mu.Unlock()
	w.record(trust.Event{Kind: event, Camera: use.Device, Seconds: time.Since(use.Since).Seconds()})
}

// microphoneOn takes note that the microphone is open.
func (w *witness) microphoneOn(name string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.on = append(w.on, onCamera{use: sign.Use{Device: name, Microphone: true, Peer: w.peer.Name, Since: time.Now()}})
	w.show()
	w.mu.Unlock()
	w.record(trust.Event{Kind: trust.EventMicrophoneOn, Camera: name})
}

// microphoneOff takes note that it is closed.
func (w *witness) microphoneOff() { w.turnedOff(nil, trust.EventMicrophoneOff) }

// controlSet takes note that the viewer has set a control.
func (w *witness) controlSet(camera, control string) {
	if w != nil {
		w.record(trust.Event{Kind: trust.EventControlSet, Camera: camera, Detail: control})
	}
}

// show shows what is on. The caller holds mu.
func (w *witness) show() {
	var uses []sign.Use
	for _, o := range w.on {
		uses = append(uses, o.use)
	}
	w.sign.Show(uses...)
}

// describe returns whether a camera is on, and which viewer is connected.
func (w *witness) describe() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := "camera off"
	if len(w.on) > 0 {
		text = "camera on"
	}
	switch {
	case w.store == nil: // nobody is proven there
	case w.since.IsZero():
		text += "; waiting for a viewer"
	default:
		text += "; " + w.peer.Name + " connected"
	}
	return capture.Printable(text)
}

// record adds an event to the audit log. What cannot be written is logged once in a
// while by the logger's own bound.
func (w *witness) record(e trust.Event) {
	if w.store == nil {
		return
	}
	w.mu.Lock()
	e.Role, e.Peer, e.Key = w.peer.Role, w.peer.Name, w.peer.Key
	w.mu.Unlock()
	if err := w.store.Record(e); err != nil {
		w.log.Warn("write audit log", "err", err)
	}
}

func (w *witness) close() {
	w.sign.Close()
	if err := w.pairing.Close(); err != nil {
		w.log.Debug("remove the socket of the pair command", "err", err)
	}
}
