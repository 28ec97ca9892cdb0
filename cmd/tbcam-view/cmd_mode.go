package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/transport"
)

func modeCommand(o *options) *cobra.Command {
	var flags cli.WantFlags
	c := &cobra.Command{
		Use:   "mode",
		Short: "Show or change the mode of the camera that a tbcam-view is showing",
		Long: `Show the mode of the camera that a tbcam-view on this stream is showing, or change
it with --size, --fps, --format and --camera, for all viewers of this host. What is
not given remains unchanged. If several cameras run, --camera chooses one of them.`,
		Example: `  tbcam-view mode --size 1280x720 --fps 60`,
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			want, err := flags.Want()
			if err != nil {
				return err
			}
			return o.changeMode(c.Context(), want)
		},
	}
	flags.Register(c.Flags(), "camera to use: a device, part of a name, or pattern")
	o.timeout.Register(c.Flags())
	return c
}

// modePatience is how long a camera may take to start.
const modePatience = 10 * time.Second

func (o *options) changeMode(ctx context.Context, want capture.Want) error {
	ctx, cancel := o.timeout.Context(ctx)
	defer cancel()
	m := &modeViewer{modes: newModes()}
	var mode transport.Mode
	err := o.withHub(ctx, m, func(ctx context.Context, _ *transport.Receiver, stream *transport.ReceiverStream) (err error) {
		ctx, cancel := context.WithTimeout(ctx, modePatience)
		defer cancel()
		mode, err = m.change(ctx, stream, want)
		return err
	})
	if errors.Is(err, hub.ErrNobody) {
		return cli.Mark(fmt.Errorf("%w; start one with --size, --fps and --format", errNoViewer), cli.ErrStream)
	}
	if err != nil {
		return o.timeout.Explain(ctx, err, "the mode")
	}
	_, err = fmt.Fprintf(os.Stdout, "%s, %v\n", mode.Camera, mode.Source)
	return err
}

// errNoViewer is returned where there is nothing to be attached to.
var errNoViewer = errors.New("no tbcam-view is running on this stream")

// modeViewer is a viewer attached to the one that runs, which learns of modes. It wants
// none of the frames.
type modeViewer struct {
	transport.NopConsumer
	modes *modes
}

// Mode implements transport.Consumer.
func (m *modeViewer) Mode(mode transport.Mode) { m.modes.setMode(mode) }

// Status implements transport.Consumer.
func (m *modeViewer) Status(status transport.Status) { m.modes.setStatus(status) }

// Disconnected implements transport.Consumer.
func (m *modeViewer) Disconnected(error) { m.modes.clearState() }

// change joins the camera that runs and changes its mode, if anything is wanted of it.
func (m *modeViewer) change(ctx context.Context, stream *transport.ReceiverStream, want capture.Want) (transport.Mode, error) {
	mode, err := m.join(ctx, stream, want.Camera)
	if err != nil || want == (capture.Want{}) {
		return mode, err
	}
	return m.modes.awaitMode(ctx, stream.Start(want))
}

// join joins the camera of a name if that runs, else the first one that does.
func (m *modeViewer) join(ctx context.Context, stream *transport.ReceiverStream, name string) (transport.Mode, error) {
	if name != "" {
		if mode, err := m.modes.awaitMode(ctx, stream.Start(capture.Want{Camera: hub.Running(name)})); err == nil {
			return mode, nil
		}
	}
	return m.modes.awaitMode(ctx, stream.Start(capture.Want{Camera: hub.Running("")}))
}

// withHub runs do with a stream of the tbcam-view that runs. The error is hub.ErrNobody
// where there is none.
func (o *options) withHub(ctx context.Context, c transport.Consumer, do func(context.Context, *transport.Receiver, *transport.ReceiverStream) error) error {
	log := o.log.New(os.Stderr, "tbcam-view")
	line := o.line(log)
	line.AttachOnly = true
	receiver := &transport.Receiver{Link: line, Program: "tbcam-view", Version: version, Log: log}
	stream, err := receiver.Open(c, transport.Policy{})
	if err != nil {
		return err
	}
	stream.SetRaw(true) // it takes no frames
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- receiver.Run(ctx)
	}()
	err = do(ctx, receiver, stream)
	cancel()
	if failed := <-ended; failed != nil {
		return failed
	}
	return err
}
