package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/trust"
)

// sharedStream is the stream of --stream, which the viewers of this host share: over the
// line itself, or the hub of the tbcam-view that has it.
type sharedStream struct {
	*hub.Hub
	receiver *transport.Receiver
	line     *hub.Line // nil: a pipe, which is not shared
	link     transport.Link
	pairing  *cli.Pairing // nil: nobody is to be paired
	screen   *pairingScreen
	closing  sync.Once
	closed   error // what that ended with
}

// openStream opens the stream, for frames of a pool.
func (o *options) openStream(pool *capture.Pool, log *slog.Logger) (*sharedStream, error) {
	plain, err := newPlainFrames(pool)
	if err != nil {
		return nil, err
	}
	s := &sharedStream{}
	if err := s.openLink(o, log); err != nil {
		return nil, err
	}
	s.receiver = &transport.Receiver{
		Link: s.link, Pool: pool, Program: "tbcam-view", Version: version, Log: log, Plain: plain.takeFrame,
	}
	if err := s.guard(o, log); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.Hub, err = hub.New(s.receiver, log)
	if err == nil && s.line != nil {
		s.Window, s.Attached = func() int { return s.window(o) }, s.attached
		s.line.Share(s.Hub)
		err = s.line.Claim()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// guard has the receiver take frames of paired senders only, where its link needs that.
func (s *sharedStream) guard(o *options, log *slog.Logger) error {
	config, err := o.trust.Config(o.stream)
	if err != nil || config.Store == nil {
		return err
	}
	pairing := cli.OpenPairing(config.Store, trust.RoleSender, o.stream, log)
	s.pairing = pairing
	s.receiver.Trust = func() trust.ViewerConfig {
		return trust.ViewerConfig{Config: config, Prompt: s.screen.promptWith(pairing.ViewerPrompt())}
	}
	s.receiver.UnsealedFrames = o.trust.UnsealedFrames()
	s.receiver.Trusted, s.receiver.Refused = pairing.HandleTrusted, pairing.HandleRefused
	return nil
}

func (s *sharedStream) openLink(o *options, log *slog.Logger) (err error) {
	if cli.IsPipe(o.stream) {
		s.link, err = cli.ViewerLink(o.stream, o.allow, o.wait, log)
		return err
	}
	s.line = o.line(log)
	s.link = s.line
	return nil
}

// line returns the way to the sender that the viewers of this host share.
func (o *options) line(log *slog.Logger) *hub.Line {
	return &hub.Line{
		Names: func() []string { return cli.StreamNames(o.stream) },
		Dial:  func() (transport.Link, error) { return cli.ViewerLink(o.stream, o.allow, o.wait, log) },
		Pause: takeoverPause(o.stream), Log: log,
	}
}

// takeoverPause returns how long a stream must rest between two viewers.
func takeoverPause(stream string) (none time.Duration) {
	if strings.HasPrefix(stream, "unix:") {
		return none
	}
	return tbdev.ViewerPause
}

// attached reports whether another tbcam-view has the line.
func (s *sharedStream) attached() bool { return s.line != nil && s.line.Attached() }

// window returns how many frames may be on their way: on the line itself what a live view
// needs, or frames grow old in the buffers of the line.
func (s *sharedStream) window(o *options) int {
	if s.attached() {
		return o.record.window()
	}
	return 0
}

// run receives until the context ends, and then leaves the stream to another viewer.
func (s *sharedStream) run(ctx context.Context) error {
	err := s.receiver.Run(ctx)
	return cli.Mark(cmp.Or(err, s.close()), cli.ErrStream)
}

// close gives the stream up. It is idempotent.
func (s *sharedStream) close() error {
	s.closing.Do(func() { s.closed = errors.Join(s.link.Close(), s.pairing.Close()) })
	return s.closed
}
