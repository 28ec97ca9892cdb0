package virtualcam

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// soon is the longest time from an application's STREAMON to its first frame, of
// a camera that starts at once.
const soon = 1500 * time.Millisecond

// TestFirstFrameOnDemand measures, by this machine's clock, how long an
// application waits for the first frame through a session, JPEGs and all. The
// camera and the node are simulated.
func TestFirstFrameOnDemand(t *testing.T) {
	var pool capture.Pool
	log := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	var programs sync.WaitGroup
	link, err := unixsock.Listen(filepath.Join(t.TempDir(), "s"), nil, log)
	if err != nil {
		t.Fatal(err)
	}
	fan := sink.NewFanout(sink.Options{Decoder: codec.NewDecoder(&pool, codec.Limits{})})
	receiver := &transport.Receiver{Link: link, Pool: &pool, Log: log}
	stream, err := receiver.Open(audience{fan: fan}, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	node := &fake{reports: true, users: make(chan int)}
	c := New(Options{
		Driver: node,
		Node:   "/dev/video7", OnDemand: true, Pool: &pool, Log: log,
		Need: func(yes bool) {
			if yes {
				stream.Start(capture.Want{})
			} else {
				stream.Stop()
			}
		},
	})
	if err := cmp.Or(fan.Add(c), c.Trouble()); err != nil {
		t.Fatal(err)
	}
	camera := newPatternProducer(t, &pool)
	sender := &transport.Sender{Link: &unixsock.Dialer{Path: link.String()[len("unix:"):], Log: log}, Catalogue: &transport.Single{Producer: camera}, Log: log}
	programs.Go(fan.Run)
	programs.Go(func() { _ = receiver.Run(ctx) })
	programs.Go(func() { _ = sender.Run(ctx) })

	for range 3 {
		time.Sleep(100 * time.Millisecond) // the session is there, the camera off
		begin := time.Now()
		node.users <- 1
		for !node.showsCamera(begin) {
			if time.Since(begin) > soon {
				t.Fatalf("no frame %v after STREAMON", soon)
			}
			time.Sleep(time.Millisecond)
		}
		t.Logf("the first frame came %v after STREAMON", time.Since(begin))
		node.users <- 0
		c.turnOff() // the grace is not the matter here
	}
	cancel()
	if err := fan.Close(); err != nil {
		t.Error(err)
	}
	programs.Wait()
	camera.Stop()
	camera.reading.Wait()
	if err := link.Close(); err != nil {
		t.Error(err)
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
}

// showsCamera reports whether readers have seen a frame that was received.
func (f *fake) showsCamera(since time.Time) bool {
	for _, w := range f.since(since) {
		if w.received {
			return true
		}
	}
	return false
}

// audience hands frames to a fan-out.
type audience struct {
	transport.NopConsumer
	fan *sink.Fanout
}

// Frame implements transport.Consumer.
func (a audience) Frame(f *capture.Frame, _ capture.Lost) { a.fan.Frame(f) }

// patternProducer is the pattern as a transport.Producer, in its largest usual mode.
type patternProducer struct {
	transport.NoControls
	t       *testing.T
	pool    *capture.Pool
	encoder codec.Encoder
	info    transport.Mode
	frames  chan *capture.Frame
	reading sync.WaitGroup

	mu   sync.Mutex
	stop func() // of the last Start
}

func newPatternProducer(t *testing.T, pool *capture.Pool) *patternProducer {
	encoder, err := codec.NewEncoder(codec.JPEG, 85, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(encoder.Close)
	mode := capture.Mode{Pixel: capture.YUYV, Width: 1280, Height: 720, Rate: capture.Rate{Num: 30, Den: 1}}
	p := &patternProducer{t: t, stop: func() {}, pool: pool, encoder: encoder, frames: make(chan *capture.Frame)}
	p.info = transport.Mode{Camera: pattern.Name, Source: mode}
	p.info.Format = encoder.Format(capture.Format{Pixel: mode.Pixel, Width: mode.Width, Height: mode.Height})
	return p
}

func (p *patternProducer) Start(uint32, capture.Want) {
	p.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	source, err := pattern.Open(p.info.Source, p.pool)
	if err != nil {
		p.t.Error(err)
		return
	}
	off := make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(off); source.Close() })
	p.reading.Go(func() {
		for {
			f, err := source.Read()
			if err != nil {
				return
			}
			select {
			case p.frames <- f:
			case <-off:
				f.Release()
				return
			}
		}
	})
}

func (p *patternProducer) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
}

func (p *patternProducer) Lost() capture.Lost { return capture.Lost{} }

func (p *patternProducer) Next(ctx context.Context) (transport.Unit, error) {
	select {
	case f := <-p.frames:
		g, err := p.encoder.Encode(f)
		return transport.Unit{Frame: g, Info: &p.info}, err
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
}
