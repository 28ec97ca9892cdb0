// Receive prints what comes over a Unix socket, and ends after ten frames.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

type viewer struct {
	transport.NopConsumer
	frames int
	done   context.CancelFunc
}

func (v *viewer) Frame(f *capture.Frame, _ capture.Lost) {
	fmt.Println(f.Format, len(f.Data))
	f.Release()
	if v.frames++; v.frames == 10 {
		v.done()
	}
}

func main() {
	link, err := unixsock.Listen(os.Args[1], nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &transport.Receiver{Link: link, Program: "receive"}
	stream, err := r.Open(&viewer{done: cancel}, transport.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	stream.Start(capture.Want{})
	if err := r.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
