package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
)

func pairCommand(o *options) *cobra.Command {
	pair := cli.PairCommand{Role: trust.RoleViewer, Stream: &o.stream, Alone: o.pairAlone}
	return pair.Command()
}

// pairAlone pairs with a viewer while no tbcam-send runs on the stream. It offers no
// camera.
func (o *options) pairAlone(ctx context.Context) (name string, err error) {
	log := o.log.New(os.Stderr, "tbcam-send")
	config, err := o.trust.Config(o.stream)
	if err != nil {
		return "", err
	}
	link, err := cli.SenderLink(o.stream, o.allow, true, log)
	if err != nil {
		return "", err
	}
	defer link.Close()
	s := &transport.Sender{Link: link, Catalogue: noCameras{}, Program: "tbcam-send", Version: version, Log: log}
	defer proveSender(s, config, o.stream, log).Close()
	return cli.PairAlone(ctx, &s.Trusted, &s.Refused, s.Run)
}

// noCameras is the transport.Catalogue of a sender that only pairs.
type noCameras struct{}

// Cameras implements transport.Catalogue.
func (noCameras) Cameras(context.Context) []capture.Device { return nil }

// Open implements transport.Catalogue.
func (noCameras) Open(s *transport.SenderStream) transport.Producer { return &noFrames{stream: s} }

// noFrames is the transport.Producer of a sender that only pairs.
type noFrames struct {
	transport.NoControls
	stream *transport.SenderStream
}

// Start implements transport.Producer.
func (n *noFrames) Start(number uint32, _ capture.Want) {
	n.stream.Report(transport.Status{State: transport.Waiting, Request: number, Text: "tbcam-send only pairs; start it without pair"})
}

// Stop implements transport.Producer.
func (n *noFrames) Stop() {}

// Next implements transport.Producer.
func (n *noFrames) Next(ctx context.Context) (transport.Unit, error) {
	<-ctx.Done()
	return transport.Unit{}, ctx.Err()
}

// Lost implements transport.Producer.
func (n *noFrames) Lost() capture.Lost { return capture.Lost{} }
