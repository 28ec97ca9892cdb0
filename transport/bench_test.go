package transport_test

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
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// BenchmarkStream passes frames of a 1080p MJPEG camera through a session. Run
// it with -benchtime 18000x for ten minutes of a camera.
func BenchmarkStream(b *testing.B) {
	for name, link := range map[string]func(*testing.B) (sender, viewer transport.Link){
		"pipe": func(*testing.B) (transport.Link, transport.Link) {
			a, b := net.Pipe()
			return &fixed{conn: transport.NewConn(a)}, &fixed{conn: transport.NewConn(b)}
		},
		"device": func(*testing.B) (transport.Link, transport.Link) {
			a, b := net.Pipe()
			return &fixed{transport.NewConn(a), checkedDevice}, &fixed{transport.NewConn(b), checkedDevice}
		},
		"sealed device": func(*testing.B) (transport.Link, transport.Link) {
			a, b := net.Pipe()
			return &fixed{transport.NewConn(a), sealedDevice}, &fixed{transport.NewConn(b), sealedDevice}
		},
		"unix": func(b *testing.B) (transport.Link, transport.Link) {
			path := filepath.Join(b.TempDir(), "s")
			l, err := unixsock.Listen(path, nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Close() })
			return &unixsock.Dialer{Path: path}, l
		},
	} {
		b.Run(name, func(b *testing.B) {
			sender, viewer := link(b)
			benchmarkStream(b, sender, viewer, 200_000)
		})
	}
}

// guardPair has both ends know each other.
func guardPair(t testing.TB, s *transport.Sender, r *transport.Receiver) {
	t.Helper()
	tr := transporttest.NewTrust(t)
	if err := tr.Pair(); err != nil {
		t.Fatal(err)
	}
	tr.Guard(s, r)
}

// fixed is a transport.Link that can be opened once.
type fixed struct {
	conn transport.Conn
	link transport.Properties
}

func (f *fixed) Open(ctx context.Context) (transport.Conn, error) {
	if conn := f.conn; conn != nil {
		f.conn = nil
		return conn, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}
func (f *fixed) Properties() transport.Properties { return f.link }
func (f *fixed) Close() error                     { return nil }
func (f *fixed) String() string                   { return "fixed" }

// counter is a consumer that calls enough after a number of frames, and then hands on.
type counter struct {
	transport.NopConsumer
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

// reel shows a number of frames as fast as they are taken.
// Each was captured a little later than the one before.
type reel struct {
	transport.NoControls
	last       time.Time
	pool       capture.Pool
	size, left int
	info       *transport.Mode
}

func (r *reel) Start(uint32, capture.Want) {}
func (r *reel) Stop()                      {}
func (r *reel) Lost() capture.Lost         { return capture.Lost{} }

func (r *reel) Next(ctx context.Context) (transport.Unit, error) {
	if r.left--; r.left < 0 {
		return transport.Unit{}, io.EOF
	}
	f := r.pool.Get(r.size)
	r.last = r.last.Add(time.Microsecond)
	if now := time.Now(); now.After(r.last) {
		r.last = now
	}
	f.Format, f.Time = r.info.Format, r.last
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
	return transport.Unit{Frame: f, Info: r.info}, nil
}

// A device has checksums or, where both ends prove themselves, seals.
var (
	checkedDevice = transport.Properties{Greets: true, Checksums: true}
	sealedDevice  = transport.Properties{Greets: true, Checksums: true, Strangers: true}
)

// Once a session is under way, no frame allocates on either side. (Heartbeats do.)
func TestStreamDoesNotAllocate(t *testing.T) {
	for name, link := range map[string]transport.Properties{"socket": {}, "device": checkedDevice, "sealed device": sealedDevice} {
		t.Run(name, func(t *testing.T) {
			testAllocations(t, link, capture.Video, &reel{size: 10_000, info: mjpeg1080}, 1000, 3000, 300)
		})
		t.Run(name+"/audio", func(t *testing.T) {
			info := &transport.Mode{Format: capture.Format{Audio: capture.Stereo}}
			testAllocations(t, link, capture.Audio, &reel{size: capture.Stereo.BlockSize(), info: info}, 30, 60, 45) // those of a heartbeat
		})
	}
}

// testAllocations counts allocations in a number of frames, after others. More blocks of audio
// would come too fast.
func testAllocations(t *testing.T, link transport.Properties, kind capture.Kind, film *reel, warm, count, allowed int) {
	var before, after runtime.MemStats
	a, b := net.Pipe()
	log := slog.New(slog.DiscardHandler)
	film.left = warm + count
	s := &transport.Sender{Link: &fixed{transport.NewConn(a), link}, Catalogue: &transport.Single{Producer: film}, Log: log}
	r := &transport.Receiver{Link: &fixed{transport.NewConn(b), link}, Pool: &capture.Pool{}, Log: log}
	guardPair(t, s, r)
	second := &counter{left: count, enough: func() { runtime.ReadMemStats(&after) }}
	first := &counter{left: warm, enough: func() { runtime.ReadMemStats(&before) }, then: second}
	stream, err := r.Open(first, transport.Policy{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	end := inBackground(r.Run)
	if err := errors.Join(s.Run(t.Context()), end()); err != nil {
		t.Fatal(err)
	}
	if second.left > 0 {
		t.Errorf("%d frames did not come", second.left)
	}
	if n := int(after.Mallocs - before.Mallocs); n > allowed {
		t.Errorf("%d allocations in %d frames", n, count)
	}
}

// watchStream asks for the frames of one more stream.
func watchStream(t testing.TB, r *transport.Receiver, c transport.Consumer) *transport.ReceiverStream {
	t.Helper()
	stream, err := r.Open(c, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	return stream
}

func benchmarkStream(b *testing.B, sender, viewer transport.Link, size int) {
	log := slog.New(slog.DiscardHandler)
	s := &transport.Sender{Link: sender, Catalogue: &transport.Single{Producer: &reel{size: size, left: b.N, info: mjpeg1080}}, Log: log}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &transport.Receiver{Link: viewer, Pool: &capture.Pool{}, Log: log}
	guardPair(b, s, r)
	watchStream(b, r, &counter{left: b.N, enough: b.StopTimer})
	end := inBackground(r.Run)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(ctx); err != nil {
		b.Error(err)
	}
	if err := end(); err != nil {
		b.Error(err)
	}
}

var mjpeg1080 = &transport.Mode{
	Source: capture.Mode{Pixel: capture.MJPEG, Width: 1920, Height: 1080, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.MJPEG, Width: 1920, Height: 1080},
}

// inBackground starts a program; end ends it and returns Run's error.
func inBackground(run func(context.Context) error) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}
