package main

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
)

// errNotGranted answers a viewer that may not set controls.
var errNotGranted = errors.New("the sender's owner has not granted it (tbcam-send peers grant)")

// grants is what the viewer of the present session may do: all, until a session over a
// device has begun.
type grants struct{ rights atomic.Pointer[trust.Rights] }

// allowsCamera reports whether the viewer may have a camera.
func (g *grants) allowsCamera(d capture.Device) bool {
	rights := g.rights.Load()
	return rights == nil || rights.AllowsCamera(d)
}

// allowsMicrophone reports whether the viewer may have the microphone.
func (g *grants) allowsMicrophone() bool {
	rights := g.rights.Load()
	return rights == nil || rights.Microphone
}

// allowsControl reports whether the viewer may set controls. Nil grants all.
func (g *grants) allowsControl() bool {
	if g == nil {
		return true
	}
	rights := g.rights.Load()
	return rights == nil || rights.Control
}

// guard has a sender serve paired viewers only, where its link needs that, and this
// host's user see who is served.
func (o *options) guard(s *transport.Sender, c *catalogue, wait func() (trust.Config, error), log *slog.Logger) (*witness, error) {
	config, err := wait()
	if err != nil {
		return nil, err
	}
	witness := newWitness(c, config.Store, o.onCamera, log)
	c.first.camera.cameras.witness = witness
	if c.microphone != nil {
		c.microphone.witness = witness
	}
	if config.Store == nil {
		return witness, nil
	}
	witness.pairing = proveSender(s, config, o.stream, log)
	s.UnsealedFrames = o.trust.UnsealedFrames()
	record := s.Trusted
	s.Trusted = func(outcome trust.Outcome) {
		if witness.setPeer(outcome.Peer) {
			record(outcome)
		}
		c.applyRights(outcome.Rights)
	}
	s.Disconnected = witness.peerLeft
	return witness, nil
}

// guardPlain has this host's user see that plain MJPEG is sent, and to a device also the
// audit log: nobody knows who reads there.
func (o *options) guardPlain(c *catalogue, wait func() (trust.Config, error), log *slog.Logger) (*witness, error) {
	config, err := wait()
	if err != nil {
		return nil, err
	}
	witness := newWitness(c, config.Store, o.onCamera, log)
	witness.setPeer(trust.Peer{Name: plainReader, Role: trust.RoleViewer})
	c.first.camera.cameras.witness = witness
	return witness, nil
}

// plainReader stands for who reads plain MJPEG.
const plainReader = "whoever reads plain MJPEG"

// proveSender has a sender serve paired viewers only, and pair with others.
func proveSender(s *transport.Sender, config trust.Config, stream string, log *slog.Logger) *cli.Pairing {
	pairing, attempts := cli.OpenPairing(config.Store, trust.RoleViewer, stream, log), &trust.Attempts{}
	s.Trust = func() trust.SenderConfig {
		return trust.SenderConfig{Config: config, Prompt: pairing.SenderPrompt, Attempts: attempts}
	}
	s.Trusted, s.Refused = pairing.HandleTrusted, pairing.HandleRefused
	return pairing
}

// applyRights has the streams go by what a viewer may do.
func (c *catalogue) applyRights(rights trust.Rights) {
	c.first.camera.offer.grants.rights.Store(&rights)
	for _, f := range c.feeds() {
		f.applyGrants()
	}
	c.microphone.applyGrants()
}

// stopCameras turns all cameras and the microphone off, until the viewer asks again.
func (c *catalogue) stopCameras() {
	c.microphone.stop(nil)
	for _, f := range c.feeds() {
		f.Stop()
	}
}

// feeds returns those of all streams.
func (c *catalogue) feeds() []*feed {
	c.mu.Lock()
	defer c.mu.Unlock()
	feeds := []*feed{c.first}
	for _, s := range c.served {
		if s.feed != c.first {
			feeds = append(feeds, s.feed)
		}
	}
	return feeds
}

// applyGrants turns a camera off that the viewer may not have any more, and reports
// whether it may set controls.
func (f *feed) applyGrants() {
	f.controls.updateLock()
	if device := f.controls.device(); device.Path != "" && !f.camera.offer.grants.allowsCamera(device) {
		f.Stop()
	}
}
