package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/ctlsock"
)

func modeCommand(o *options) *cobra.Command {
	var flags cli.WantFlags
	c := &cobra.Command{
		Use:   "mode",
		Short: "Show or change the mode of the camera that a tbcam-view is showing",
		Long: `Show the mode of the camera that a tbcam-view on this stream is showing, or change
it with --size, --fps, --format and --camera. What is not given remains unchanged.`,
		Example: `  tbcam-view mode --size 1280x720 --fps 60`,
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			want, err := flags.Want()
			if err != nil {
				return err
			}
			return o.mode(c.Context(), want)
		},
	}
	flags.Register(c.Flags(), "camera to use: a device, part of a name, or pattern")
	o.timeout.Register(c.Flags())
	return c
}

func (o *options) mode(ctx context.Context, want capture.Want) error {
	ctx, cancel := o.timeout.Context(ctx)
	defer cancel()
	path, err := ctlsock.Path(cli.StreamKey(o.stream))
	if err != nil {
		return err
	}
	answer, err := ctlsock.Ask(ctx, path, ctlsock.Request{Mode: &want})
	switch {
	case errors.Is(err, ctlsock.ErrNobody):
		return cli.Mark(fmt.Errorf("%w; start one with --size, --fps and --format", err), cli.ErrStream)
	case err != nil:
		return o.timeout.Explain(ctx, err, "the mode")
	case answer.Mode == nil:
		return errNoAnswer
	}
	_, err = fmt.Fprintf(os.Stdout, "%s, %v\n", answer.Mode.Camera, answer.Mode.Source)
	return err
}
