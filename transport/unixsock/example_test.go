package unixsock_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// printer is a viewer: it prints the frames, and which peer sends them.
type printer struct{ transport.NopConsumer }

func (printer) Connected(p transport.Peer) { fmt.Println("connected to", p.Program) }

func (printer) Frame(f *capture.Frame, _ capture.Lost) {
	fmt.Printf("frame %d: %v, %d bytes\n", f.Sequence, f.Format.Pixel, len(f.Data))
	f.Release()
}

func (printer) Disconnected(err error) { fmt.Println("disconnected:", err) }

// A viewer listens, asks for frames, and gets them until its context ends.
func Example_receiveFrames() {
	socket := temporarySocket()
	defer os.RemoveAll(filepath.Dir(socket))
	link, err := unixsock.Listen(socket, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer link.Close()
	receiver := &transport.Receiver{Link: link, Program: "example"}
	stream, err := receiver.Open(printer{}, transport.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.Start(capture.Want{}) // any camera, any mode

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { receiver.Run(ctx) })
	sendThree(socket)
	cancel()
	running.Wait()
	// Output:
	// connected to camera
	// frame 1: mjpeg, 9001 bytes
	// frame 2: mjpeg, 18001 bytes
	// frame 3: mjpeg, 600000 bytes
	// disconnected: all frames were sent
}

// sendThree is a sender that has three frames.
func sendThree(socket string) {
	sender := &transport.Sender{
		Link: &unixsock.Dialer{Path: socket}, Program: "camera",
		Catalogue: &transport.Single{Producer: &transporttest.Producer{Count: 3}},
	}
	if err := sender.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

// grey is a camera of frames that get brighter. It implements transport.Producer.
type grey struct {
	transport.NoControls
	mode transport.Mode
	next uint32
}

func (g *grey) Start(uint32, capture.Want) {}
func (g *grey) Stop()                      {}
func (g *grey) Lost() capture.Lost         { return capture.Lost{} }

// Next is called whenever a frame can be sent at once. A camera would wait here.
func (g *grey) Next(context.Context) (transport.Unit, error) {
	if g.next == 2 {
		return transport.Unit{}, io.EOF
	}
	g.next++
	f := &capture.Frame{Format: g.mode.Format, Sequence: g.next, Data: make([]byte, g.mode.Format.Size())}
	for i := range f.Data {
		f.Data[i] = byte(100 * g.next)
	}
	return transport.Unit{Frame: f, Info: &g.mode}, nil
}

// A program sends frames that it makes itself.
func Example_sendFrames() {
	socket := temporarySocket()
	defer os.RemoveAll(filepath.Dir(socket))
	link, err := unixsock.Listen(socket, nil, nil) // the viewer's end
	if err != nil {
		fmt.Println(err)
		return
	}
	defer link.Close()
	receiver := &transport.Receiver{Link: link}
	stream, err := receiver.Open(printer{}, transport.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.Start(capture.Want{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { receiver.Run(ctx) })

	format := capture.Format{Pixel: capture.GREY, Width: 4, Height: 3, Range: capture.Full}
	sender := &transport.Sender{
		Link: &unixsock.Dialer{Path: socket}, Program: "grey",
		Catalogue: &transport.Single{Producer: &grey{mode: transport.Mode{Camera: "grey", Format: format}}},
	}
	if err := sender.Run(ctx); err != nil {
		fmt.Println(err)
	}
	cancel()
	running.Wait()
	// Output:
	// connected to grey
	// frame 1: grey, 12 bytes
	// frame 2: grey, 12 bytes
	// disconnected: all frames were sent
}

// temporarySocket returns a path in a new directory.
func temporarySocket() string {
	dir, err := os.MkdirTemp("", "tbcam-example-")
	if err != nil {
		panic(err)
	}
	return filepath.Join(dir, "s")
}
