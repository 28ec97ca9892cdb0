// Virtualcam publishes a virtual camera on a node in memory, which prints its frames;
// v4l2node.Driver in its place publishes one that applications see.
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

type memory struct{}

func (m memory) Formats() []capture.PixelFormat { return virtualcam.Formats }
func (m memory) Nodes(name string) ([]virtualcam.NodeInfo, error) {
	return []virtualcam.NodeInfo{{Path: name}}, nil
}
func (m memory) Make() error { return nil }
func (m memory) Open(string, capture.Format, capture.Rate) (virtualcam.Node, error) {
	return m, nil
}
func (m memory) Write(f *capture.Frame) error { _, err := fmt.Println(f.Format); return err }
func (m memory) Users() (<-chan int, error)   { return nil, os.ErrInvalid }
func (m memory) Close() error                 { return nil }

func main() {
	fanout := sink.NewFanout(sink.Options{})
	if err := fanout.Add(virtualcam.New(virtualcam.Options{Driver: memory{}, Node: "memory"})); err != nil {
		log.Fatal(err)
	}
	go fanout.Run()
	var pool capture.Pool
	for range 30 {
		f := pool.Get(64 * 48 * 2)
		f.Format = capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48, Range: capture.Limited, Matrix: capture.BT601}
		fanout.Frame(f)
		time.Sleep(time.Second / 30)
	}
}
