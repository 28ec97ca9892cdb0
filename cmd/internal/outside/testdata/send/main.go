// Send sends raw frames of one grey after the other over a Unix socket.
package main

import (
	"bytes"
	"context"
	"log"
	"os"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

var format = capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48, Range: capture.Limited, Matrix: capture.BT601}
var mode = &transport.Mode{Camera: "greys", Format: format, Source: capture.Mode{
	Pixel: format.Pixel, Width: format.Width, Height: format.Height, Rate: capture.Rate{Num: 30, Den: 1}}}

type greys struct {
	transport.NoControls
	number uint32
}

func (g *greys) Start(uint32, capture.Want) {}
func (g *greys) Stop()                      {}
func (g *greys) Lost() (none capture.Lost)  { return none }

func (g *greys) Next(context.Context) (transport.Unit, error) {
	time.Sleep(time.Second / 30)
	g.number++
	data := bytes.Repeat([]byte{byte(16 + g.number%220), 128}, 64*48)
	f := &capture.Frame{Format: format, Sequence: g.number, Time: time.Now(), Data: data}
	return transport.Unit{Frame: f, Info: mode}, nil
}

func main() {
	s := &transport.Sender{Link: &unixsock.Dialer{Path: os.Args[1]}, Catalogue: &transport.Single{Producer: &greys{}}, Program: "send"}
	log.Fatal(s.Run(context.Background()))
}
