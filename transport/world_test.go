package transport_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// world is a sender and a viewer at the ends of a cable, with a stream between them.
// Each can be ended and started again.
type world struct {
	*testing.T
	cable     *transporttest.Cable
	catalogue *transporttest.Catalogue
	feed      *transporttest.Producer
	screen    *transporttest.Consumer
	sender    *transport.Sender
	receiver  *transport.Receiver
	stream    *transport.ReceiverStream
	log       *journal
	pool      capture.Pool

	sending, viewing *process
	mayFail          bool // Run may return an error
}

// journal keeps what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// inWorld runs a test in virtual time, ends both programs, and checks that
// nothing is left over: synctest waits for the goroutines.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(w)
		w.stop(w.viewing)
		w.stop(w.sending)
		for i, p := range w.catalogue.Producers {
			p.Discard()
			if n := p.Pool.Outstanding(); n != 0 {
				t.Errorf("%d frames of stream %d were not released by the sender", n, i+1)
			}
		}
		if n := w.pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released by the viewer", n)
		}
	})
}

// stop ends a program that should not fail by itself.
func (w *world) stop(p *process) {
	if p == nil {
		return
	}
	if err := p.end(); err != nil && !w.mayFail {
		w.Errorf("Run: %v", err)
	}
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, cable: transporttest.NewCable(), feed: &transporttest.Producer{Period: time.Second / 30}, log: &journal{}}
	w.catalogue = &transporttest.Catalogue{Producers: []*transporttest.Producer{w.feed}}
	w.screen = &transporttest.Consumer{T: t, Producer: w.feed}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.sender = &transport.Sender{Link: w.cable.Sender, Catalogue: w.catalogue, Version: "test", Log: log}
	w.receiver = &transport.Receiver{Link: w.cable.Viewer, Pool: &w.pool, Version: "test", Log: log}
	w.open(w.screen)
	return w
}

// open opens the world's stream, in place of the one that is open.
func (w *world) open(c transport.Consumer) {
	if w.stream != nil {
		w.stream.Close()
	}
	stream, err := w.receiver.Open(c, transport.Policy{})
	if err != nil {
		w.Fatal(err)
	}
	w.stream = stream
}

// sizes has each frame be a sample of a size.
func (w *world) sizes(size func(number uint32) int) {
	w.feed.Content = func(number uint32) []byte { return transporttest.Sample(number, size(number)) }
}

// watchRecords has a function called with every record that is written.
func (w *world) watchRecords(written func(from *transporttest.End, h wire.Header)) {
	w.cable.Change(func() { w.cable.Written = written })
}

// whole is the damage of a cable that has none.
func whole(_ *transporttest.End, packet []byte) []byte { return packet }

// process is a program that runs.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run, once done
}

func start(run func(context.Context) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, done: make(chan struct{})}
	go func() {
		p.err = run(ctx)
		close(p.done)
	}()
	return p
}

// end ends the program, if it has not by itself, and returns Run's error.
func (p *process) end() error {
	p.cancel()
	<-p.done
	return p.err
}

// startBoth runs both programs and requests frames.
func (w *world) startBoth() {
	w.stream.Start(capture.Want{})
	w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
}

// waitFor waits until a condition holds, for as long as it may take.
func (w *world) waitFor(limit time.Duration, what string, holds func() bool) {
	w.Helper()
	for begun := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > limit {
			w.Fatalf("no %s within %v; log:\n%v", what, limit, w.log)
		}
	}
}

// waitForFrames waits until that many more frames came.
func (w *world) waitForFrames(more int, limit time.Duration) {
	w.Helper()
	enough := w.screen.Frames() + more
	w.waitFor(limit, fmt.Sprintf("%d frames", enough), func() bool { return w.screen.Frames() >= enough })
}
