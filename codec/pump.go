package codec

import (
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// Pump encodes the frames of in, one goroutine per encoder, and calls out with
// each result of Encode: in the order of in, never twice at once. It returns
// when in is closed and the last result was handed out.
//
// A goroutine takes a frame when it is free to encode it, so with a Mailbox it
// takes the newest.
func Pump(encoders []Encoder, in <-chan *capture.Frame, out func(*capture.Frame, error)) {
	// Who holds the head may take the next frame. It is the turn of that frame,
	// which the one before gives when its result was handed out.
	head := make(chan chan struct{}, 1)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	head <- first
	var workers sync.WaitGroup
	for _, e := range encoders {
		workers.Go(func() { encodeInTurn(e, head, in, out) })
	}
	workers.Wait()
}

func encodeInTurn(e Encoder, head chan chan struct{}, in <-chan *capture.Frame, out func(*capture.Frame, error)) {
	// One channel does for all frames of this goroutine: its next turn comes
	// only after the frame in between has taken what the channel held.
	mine := make(chan struct{}, 1)
	for {
		turn := <-head
		f, ok := <-in
		if !ok {
			head <- turn
			return
		}
		head <- mine
		g, err := e.Encode(f)
		<-turn
		out(g, err)
		mine <- struct{}{}
	}
}
