// Getusermedia counts the frames of the far camera, which pion/mediadevices finds.
package main

import (
	"context"
	"fmt"
	"image"
	"log"
	"os"

	"github.com/pion/mediadevices"
	"github.com/tbcam/tbcam/capture"
	tbcam "github.com/tbcam/tbcam/capture/mediadevices"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/virtualcam"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

type viewer struct {
	transport.NopConsumer
	fanout *sink.Fanout
}

func (v viewer) Frame(f *capture.Frame, _ capture.Lost) { v.fanout.Frame(f) }

// publish has pion find the camera that a sender offers at a socket. It is on while
// somebody uses it.
func publish(socket string) error {
	link, err := unixsock.Listen(socket, nil, nil)
	if err != nil {
		return err
	}
	fanout := sink.NewFanout(sink.Options{})
	receiver := &transport.Receiver{Link: link, Program: "getusermedia"}
	far, err := receiver.Open(viewer{fanout: fanout}, transport.Policy{})
	if err != nil {
		return err
	}
	far.SetRaw(true) // pion gets decoded frames
	err = fanout.Add(virtualcam.New(virtualcam.Options{
		Driver: tbcam.NewCamera("tbcam"), Want: capture.Format{Width: 640, Height: 480},
		OnDemand: true, Need: func(yes bool) {
			if yes {
				far.Start(capture.Want{})
			} else {
				far.Stop()
			}
		},
	}))
	go fanout.Run()
	go receiver.Run(context.Background())
	return err
}

func main() {
	if err := publish(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	stream, err := mediadevices.GetUserMedia(mediadevices.MediaStreamConstraints{Video: func(*mediadevices.MediaTrackConstraints) {}})
	if err != nil {
		log.Fatal(err)
	}
	reader := stream.GetVideoTracks()[0].(*mediadevices.VideoTrack).NewReader(false)
	for n, last := 0, -1; n < 30; {
		img, release, err := reader.Read()
		if err != nil {
			log.Fatal(err)
		}
		if luma := int(img.(*image.YCbCr).Y[0]); luma != last { // else it is the last frame again
			n, last = n+1, luma
			fmt.Println("frame", n, img.Bounds().Size(), luma)
		}
		release()
	}
}
