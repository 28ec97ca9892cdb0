package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/transport/trust"
)

func pairCommand(o *options) *cobra.Command {
	pair := cli.PairCommand{Role: trust.RoleSender, Stream: &o.stream, Alone: o.pairAlone}
	return pair.Command()
}

// pairAlone pairs with a sender while no tbcam-view runs on the stream. It asks for no
// frames.
func (o *options) pairAlone(ctx context.Context) (name string, err error) {
	log := o.log.New(os.Stderr, "tbcam-view")
	stream, err := o.openStream(&capture.Pool{}, log)
	if err != nil {
		return "", err
	}
	name, err = cli.PairAlone(ctx, &stream.receiver.Trusted, &stream.receiver.Refused, stream.receiver.Run)
	return name, errors.Join(err, stream.close())
}
