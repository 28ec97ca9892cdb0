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
	p := &pump{in: in, out: out, tickets: make(chan int, 1)}
	p.moved.L = &p.mu
	p.tickets <- 0
	var workers sync.WaitGroup
	for _, e := range encoders {
		workers.Go(func() { p.work(e) })
	}
	workers.Wait()
}

type pump struct {
	in  <-chan *capture.Frame
	out func(*capture.Frame, error)
	// tickets holds the number of the next frame of in; who took it takes the
	// frame and puts back the number after it.
	tickets chan int

	mu    sync.Mutex
	turn  int // the number of the next result
	moved sync.Cond
}

func (p *pump) work(e Encoder) {
	for {
		ticket := <-p.tickets
		f, ok := <-p.in
		p.tickets <- ticket + 1
		if !ok {
			return
		}
		g, err := e.Encode(f)
		p.await(ticket)
		p.out(g, err)
		p.advance()
	}
}

func (p *pump) await(ticket int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.turn != ticket {
		p.moved.Wait()
	}
}

func (p *pump) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	p.moved.Broadcast()
}
