package tbsim

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
)

// counted counts the system calls of a program.
type counted struct {
	*File
	writes *[]int // bytes that each was to write
	reads  *[]int // and to read
}

func (c counted) Writev(bufs [][]byte) (int, error) {
	n, err := c.File.Writev(bufs)
	if err == nil {
		*c.writes = append(*c.writes, n)
	}
	return n, err
}

func (c counted) Read(p []byte) (int, error) {
	*c.reads = append(*c.reads, len(p))
	return c.File.Read(p)
}

// TestFewLargeCalls: each write(2) begins a packet, so that a frame goes out with
// one, and one read(2) may fetch several.
func TestFewLargeCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cable := New(Options{Kernel: Linux72y, Rate: 1e9, Latency: 10 * time.Microsecond})
		var writes, reads, control, answers []int
		film := newMovie()
		film.pace(framePeriod, 200_000)
		a := newAudience(t, film)
		var pool capture.Pool
		log := slog.New(slog.DiscardHandler)
		link := func(end int, writes, reads *[]int) *tbdev.Link {
			return &tbdev.Link{
				Resolve: func() (string, error) { return fmt.Sprint("tbsim", end), nil },
				OpenFile: func() (tbdev.File, error) {
					f, err := cable.End(end).Open()
					return counted{f, writes, reads}, err
				},
				Log: log,
			}
		}
		l := []*tbdev.Link{link(theSender, &writes, &answers), link(theViewer, &control, &reads)}
		sender := &transport.Sender{Link: l[theSender], Catalogue: &transport.Single{Producer: film}, Log: log}
		receiver := &transport.Receiver{Link: l[theViewer], Pool: &pool, Log: log}
		paired.Guard(sender, receiver)
		watchStream(t, receiver, a)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var programs sync.WaitGroup
		programs.Go(func() { sender.Run(ctx) })
		programs.Go(func() { receiver.Run(ctx) })
		programs.Wait()
		for _, link := range l {
			link.Close()
		}
		large := 0
		for _, n := range writes {
			if n > film.size {
				large++
			} else if n > packetSize {
				t.Errorf("a write of %d bytes is a part of a frame", n)
			}
		}
		if frames, _, _ := a.seen(); large != frames || frames < 200 {
			t.Errorf("%d writes for %d frames", large, frames)
		}
		for _, size := range reads[2:] { // two look for plain MJPEG and a first good record
			if size < 256<<10 {
				t.Errorf("a read of %d bytes", size)
			}
		}
	})
}
