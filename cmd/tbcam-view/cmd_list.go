package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
)

func listCommand(o *options) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the sender's cameras with their modes and controls, and its microphone",
		Long: `List the sender's cameras with their modes and controls, and the microphone
that it offers. None is turned on. This works beside a tbcam-view that runs on the same stream, too.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cameras, err := o.listCameras(c.Context())
			if err != nil {
				return err
			}
			return cli.PrintCameras(os.Stdout, cameras, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	o.timeout.Register(c.Flags())
	return c
}

// listCameras asks the sender for its cameras; none is turned on for that.
func (o *options) listCameras(ctx context.Context) ([]capture.Device, error) {
	ctx, stop := o.timeout.Context(ctx)
	defer stop()
	cameras, err := o.askCameras(ctx)
	switch {
	case err != nil:
		return nil, o.timeout.Explain(ctx, err, "the sender's cameras")
	case len(cameras) == 0:
		return nil, fmt.Errorf("%w at the sender's host", capture.ErrNoCamera)
	}
	return cameras, nil
}

func (o *options) askCameras(ctx context.Context) ([]capture.Device, error) {
	log := o.log.New(os.Stderr, "tbcam-view")
	stream, err := o.openStream(&capture.Pool{}, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- stream.run(ctx) }()
	log.Info("waiting for tbcam-send", "stream", o.stream)
	cameras, err := stream.Cameras(ctx)
	cancel()
	return cameras, cli.Mark(cmp.Or(<-ended, err), cli.ErrStream)
}
