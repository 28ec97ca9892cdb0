package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// BenchmarkStream passes frames of a 1080p MJPEG camera through a session. Run
// it with -benchtime 18000x for ten minutes of a camera.
func BenchmarkStream(b *testing.B) {
	for name, link := range map[string]func(*testing.B) (sender, viewer Link){
		"pipe": func(*testing.B) (Link, Link) {
			a, b := net.Pipe()
			return &fixed{conn: &socketConn{Conn: a}}, &fixed{conn: &socketConn{Conn: b}}
		},
		"unix": func(b *testing.B) (Link, Link) {
			path := filepath.Join(b.TempDir(), "s")
			l, err := ListenUnix(path, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Close() })
			return &UnixDialer{Path: path, Log: slog.New(slog.DiscardHandler)}, l
		},
	} {
		b.Run(name, func(b *testing.B) {
			sender, viewer := link(b)
			benchmarkStream(b, sender, viewer, 200_000)
		})
	}
}

// fixed is a Link that can be opened once.
type fixed struct{ conn Conn }

func (f *fixed) Open(ctx context.Context) (Conn, error) {
	if conn := f.conn; conn != nil {
		f.conn = nil
		return conn, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}
func (f *fixed) Properties() Properties { return Properties{} }
func (f *fixed) Close() error           { return nil }
func (f *fixed) String() string         { return "fixed" }

// counter is a viewer that tells when it has enough, and then hands on.
type counter struct {
	releaser
	left   int
	enough func()
	then   *counter
}

func (c *counter) Frame(f *capture.Frame, lost capture.Lost) {
	if c.left == 0 {
		c.then.Frame(f, lost)
		return
	}
	f.Release()
	if c.left--; c.left == 0 {
		c.enough()
	}
}

// reel shows a number of pictures as fast as they are taken.
type reel struct {
	pool       capture.Pool
	size, left int
	info       *Mode
}

func (r *reel) Start(uint32, capture.Want) {}
func (r *reel) Stop()                      {}
func (r *reel) Lost() capture.Lost         { return capture.Lost{} }
func (r *reel) Cameras() []capture.Device  { return nil }

func (r *reel) Next(ctx context.Context) (Unit, error) {
	if r.left--; r.left < 0 {
		return Unit{}, io.EOF
	}
	f := r.pool.Get(r.size)
	f.Format, f.Time = r.info.Format, time.Now()
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
	return Unit{Frame: f, Info: r.info}, nil
}

// Once a session is under way, no frame allocates on either side. (Heartbeats do.)
func TestStreamDoesNotAllocate(t *testing.T) {
	const warm, count = 1000, 3000
	var before, after runtime.MemStats
	a, b := net.Pipe()
	log := slog.New(slog.DiscardHandler)
	s := &Sender{Link: &fixed{conn: &socketConn{Conn: a}}, Producer: &reel{size: 10_000, left: warm + count, info: mjpeg1080}, Log: log}
	r := &Receiver{Link: &fixed{conn: &socketConn{Conn: b}}, Pool: &capture.Pool{}, Log: log}
	second := &counter{left: count, enough: func() { runtime.ReadMemStats(&after) }}
	r.Consumer = &counter{left: warm, enough: func() { runtime.ReadMemStats(&before) }, then: second}
	r.Start(capture.Want{})
	viewing := start(r.Run)
	if err := errors.Join(s.Run(t.Context()), viewing.end()); err != nil {
		t.Fatal(err)
	}
	if n := after.Mallocs - before.Mallocs; n > count/10 {
		t.Errorf("%d allocations in %d frames", n, count)
	}
}

func benchmarkStream(b *testing.B, sender, viewer Link, size int) {
	log := slog.New(slog.DiscardHandler)
	s := &Sender{Link: sender, Producer: &reel{size: size, left: b.N, info: mjpeg1080}, Log: log}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &Receiver{Link: viewer, Consumer: &counter{left: b.N, enough: b.StopTimer}, Pool: &capture.Pool{}, Log: log}
	r.Start(capture.Want{})
	viewing := start(r.Run)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(ctx); err != nil {
		b.Error(err)
	}
	if err := viewing.end(); err != nil {
		b.Error(err)
	}
}

var mjpeg1080 = &Mode{
	Source: capture.Mode{Pixel: capture.MJPEG, Width: 1920, Height: 1080, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.MJPEG, Width: 1920, Height: 1080},
}
