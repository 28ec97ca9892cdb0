package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/ctlsock"
	"github.com/tbcam/tbcam/transport"
)

// remote is a way to the far camera's controls: through the tbcam-view that has
// the stream, or over the stream itself.
type remote interface {
	controls(ctx context.Context) (transport.Controls, error)
	setControl(ctx context.Context, s capture.Setting) (capture.Setting, error)
	close() error
}

// remote finds the way.
func (o *options) remote(ctx context.Context) (remote, error) {
	path, err := ctlsock.Path(cli.StreamKey(o.stream))
	if err != nil {
		return nil, err
	}
	r := socketRemote{path}
	if _, err := r.controls(ctx); !errors.Is(err, ctlsock.ErrNobody) {
		return r, err
	}
	return o.dial(ctx)
}

// socketRemote asks the tbcam-view that runs.
type socketRemote struct{ path string }

func (r socketRemote) controls(ctx context.Context) (transport.Controls, error) {
	answer, err := ctlsock.Ask(ctx, r.path, ctlsock.Request{})
	if err != nil {
		return transport.Controls{}, err
	}
	if answer.Controls == nil {
		return transport.Controls{}, errNoAnswer
	}
	return *answer.Controls, nil
}

func (r socketRemote) setControl(ctx context.Context, s capture.Setting) (capture.Setting, error) {
	answer, err := ctlsock.Ask(ctx, r.path, ctlsock.Request{Set: &s})
	if err != nil {
		return capture.Setting{}, err
	}
	if answer.Granted == nil {
		return capture.Setting{}, errNoAnswer
	}
	return *answer.Granted, nil
}

func (r socketRemote) close() error { return nil }

var errNoAnswer = errors.New("the running tbcam-view is of a different version")

// streamRemote has a session of its own. The camera stays off.
type streamRemote struct {
	transport.NopConsumer
	receiver *transport.Receiver
	stream   *transport.ReceiverStream
	cancel   context.CancelFunc
	ended    chan struct{} // closed when the receiver has ended
	err      error         // why, once it has
	changed  chan struct{} // there are controls; or it is known that there will be none
}

func (o *options) dial(ctx context.Context) (*streamRemote, error) {
	log := cli.NewLog(os.Stderr, "tbcam-view", cli.Level(o.verbose))
	link, err := cli.ViewerLink(o.stream, o.allow, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &streamRemote{cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{}, 1)}
	r.receiver = &transport.Receiver{Link: link, Program: "tbcam-view", Version: version, Log: log}
	if r.stream, err = r.receiver.Open(r, transport.Policy{}); err != nil {
		cancel()
		return nil, errors.Join(err, link.Close())
	}
	go func() {
		defer close(r.ended)
		defer link.Close()
		r.err = cli.Mark(r.receiver.Run(ctx), cli.ErrStream)
	}()
	log.Info("waiting for tbcam-send", "stream", o.stream)
	return r, nil
}

func (r *streamRemote) notify() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// ControlsChanged implements transport.Consumer.
func (r *streamRemote) ControlsChanged(transport.Controls) { r.notify() }

// Connected implements transport.Consumer.
func (r *streamRemote) Connected(peer transport.Peer) {
	if !slices.Contains(peer.Features, transport.FeatureControls) {
		r.notify()
	}
}

// controls lists them again: the camera is off, and no changes are reported then.
func (r *streamRemote) controls(ctx context.Context) (transport.Controls, error) {
	ctx, cancel := r.untilEnd(ctx)
	defer cancel()
	cameras, err := r.receiver.Cameras(ctx)
	if err != nil {
		return transport.Controls{}, cmp.Or(r.reason(), err)
	}
	select {
	case <-r.changed:
		r.notify() // for the next call
	case <-ctx.Done():
		return transport.Controls{}, cmp.Or(r.reason(), ctx.Err())
	}
	c := r.stream.Controls()
	if c.Path == "" {
		return c, noControls(cameras)
	}
	for _, camera := range cameras {
		if camera.Path == c.Path {
			c.List = camera.Controls
		}
	}
	return c, nil
}

func noControls(cameras []capture.Device) error {
	if len(cameras) == 0 {
		return fmt.Errorf("%w at the sender's host", capture.ErrNoCamera)
	}
	return transport.ErrNoRemoteControl
}

func (r *streamRemote) setControl(ctx context.Context, s capture.Setting) (capture.Setting, error) {
	ctx, cancel := r.untilEnd(ctx)
	defer cancel()
	return setControlAndWait(ctx, r.stream.SetControl, s)
}

// setControlAndWait sets a control and waits for what was granted.
func setControlAndWait(ctx context.Context, set func(capture.Setting, func(capture.Setting, error)), s capture.Setting) (capture.Setting, error) {
	var granted capture.Setting
	done := make(chan error, 1)
	set(s, func(g capture.Setting, err error) {
		granted = g
		done <- err
	})
	select {
	case err := <-done:
		return granted, err
	case <-ctx.Done():
		return capture.Setting{}, fmt.Errorf("set control: no answer from the sender: %w", ctx.Err())
	}
}

// untilEnd returns a context that ends also with the receiver.
func (r *streamRemote) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
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
func (r *streamRemote) reason() error {
	select {
	case <-r.ended:
		return r.err
	default:
		return nil
	}
}

func (r *streamRemote) close() error {
	r.cancel()
	<-r.ended
	return r.err
}
