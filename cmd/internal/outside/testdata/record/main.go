// Record records what comes over a Unix socket into a file for two seconds.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

type viewer struct {
	transport.NopConsumer
	*record.Recorder
}

func (v viewer) Frame(f *capture.Frame, _ capture.Lost) {
	check(v.Write(f, record.Gap{}))
}

func main() {
	recorder, err := record.New(record.Options{Path: os.Args[2]})
	check(err)
	link, err := unixsock.Listen(os.Args[1], nil, nil)
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r := &transport.Receiver{Link: link}
	stream, err := r.Open(viewer{Recorder: recorder}, transport.Policy{})
	check(err)
	stream.Start(capture.Want{})
	check(errors.Join(r.Run(ctx), recorder.Close()))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
