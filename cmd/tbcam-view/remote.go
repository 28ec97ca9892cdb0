package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/transport"
)

// remoteControls are the controls of the far camera, in a session for them alone: of the
// camera that a tbcam-view on the stream shows, else of the one that it would show.
// The camera is not turned on for them.
type remoteControls struct {
	transport.NopConsumer
	stream       *sharedStream
	subscription *hub.Subscription
	cancel       context.CancelFunc
	ended        chan struct{} // closed when the receiver has ended
	err          error         // why, once it has
	changed      chan struct{} // the controls are other ones
	camera       string        // that must run, "": any

	mu     sync.Mutex
	joined bool  // the camera's controls are the ones that come
	failed error // why they do not
}

func (o *options) dialStream(ctx context.Context) (*remoteControls, error) {
	log := o.log.New(os.Stderr, "tbcam-view")
	stream, err := o.openStream(&capture.Pool{}, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &remoteControls{camera: o.controlled, stream: stream, cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{}, 1)}
	r.subscription = stream.Subscribe(r)
	r.subscription.SetRaw(true) // it takes no frames
	go func() {
		defer close(r.ended)
		r.err = stream.run(ctx)
	}()
	log.Info("waiting for tbcam-send", "stream", o.stream)
	return r, nil
}

// Connected implements transport.Consumer: it joins the camera that was named.
func (r *remoteControls) Connected(transport.Peer) {
	if r.camera != "" {
		r.subscription.Start(capture.Want{Camera: hub.Running(r.camera)})
	}
}

// Mode implements transport.Consumer: controls come before the first frame.
func (r *remoteControls) Mode(transport.Mode) { r.note(true, nil) }

// Status implements transport.Consumer.
func (r *remoteControls) Status(s transport.Status) {
	if s.State == transport.Failed {
		r.note(false, fmt.Errorf("camera %q is not shown by a tbcam-view: %s", r.camera, s.Text))
	}
}

func (r *remoteControls) note(joined bool, failed error) {
	r.mu.Lock()
	r.joined, r.failed = joined, failed
	r.mu.Unlock()
	r.ControlsChanged(transport.Controls{})
}

// ready returns the controls of the camera that is meant, once they are known.
func (r *remoteControls) ready() (c transport.Controls, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c = r.subscription.Controls()
	return c, c.Path != "" && (r.joined || r.camera == ""), r.failed
}

// ControlsChanged implements transport.Consumer.
func (r *remoteControls) ControlsChanged(transport.Controls) {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// controlsWait is how long a sender that lists cameras may take to report controls.
const controlsWait = 2 * time.Second

// controls lists them again: while the camera is off, no changes are reported.
func (r *remoteControls) controls(ctx context.Context) (transport.Controls, error) {
	ctx, cancel := r.untilEnd(ctx)
	defer cancel()
	cameras, err := r.stream.Cameras(ctx)
	if err != nil {
		return transport.Controls{}, cmp.Or(r.reason(), err)
	}
	if len(capture.OfKind(cameras, capture.Video)) == 0 {
		return transport.Controls{}, fmt.Errorf("%w at the sender's host", capture.ErrNoCamera)
	}
	c, err := r.awaitControls(ctx)
	if err != nil {
		return c, err
	}
	if i := slices.IndexFunc(cameras, func(d capture.Device) bool { return d.Path == c.Path }); i >= 0 {
		c.List = cameras[i].Controls
	}
	return c, nil
}

// awaitControls waits until the sender has reported which camera's they are.
func (r *remoteControls) awaitControls(ctx context.Context) (transport.Controls, error) {
	patience := time.NewTimer(controlsWait)
	defer patience.Stop()
	for {
		if c, ok, err := r.ready(); ok || err != nil {
			return c, err
		}
		select {
		case <-r.changed:
		case <-patience.C:
			return transport.Controls{}, transport.ErrNoRemoteControl
		case <-ctx.Done():
			return transport.Controls{}, cmp.Or(r.reason(), ctx.Err())
		}
	}
}

func (r *remoteControls) setControl(ctx context.Context, s capture.Setting) (capture.Setting, error) {
	ctx, cancel := r.untilEnd(ctx)
	defer cancel()
	var granted capture.Setting
	done := make(chan error, 1)
	r.subscription.SetControl(s, func(g capture.Setting, err error) {
		granted = g
		done <- err
	})
	select {
	case err := <-done:
		return granted, err
	case <-ctx.Done():
		return capture.Setting{}, cmp.Or(r.reason(), fmt.Errorf("set control: no answer from the sender: %w", ctx.Err()))
	}
}

// untilEnd returns a context that ends also with the receiver.
func (r *remoteControls) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-r.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// reason returns why the receiver has ended, if it has.
func (r *remoteControls) reason() error {
	select {
	case <-r.ended:
		return r.err
	default:
		return nil
	}
}

func (r *remoteControls) close() error {
	r.cancel()
	<-r.ended
	return r.err
}
