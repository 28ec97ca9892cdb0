package transport_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
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

// reel shows a number of frames, as fast as they are taken or at a pace.
// Each was captured a little later than the one before.
type reel struct {
	transport.NoControls
	last       time.Time
	pool       capture.Pool
	size, left int
	info       *transport.Mode
	pace       time.Duration // 0: none
	next       time.Time     // when a frame is due
	number     uint32        // of the last frame, from 1
	taken      []atomic.Int64
}

func (r *reel) Start(uint32, capture.Want) {}
func (r *reel) Stop()                      {}
func (r *reel) Lost() capture.Lost         { return capture.Lost{} }

func (r *reel) Next(ctx context.Context) (transport.Unit, error) {
	if r.left--; r.left < 0 {
		return transport.Unit{}, io.EOF
	}
	if r.pace > 0 {
		if r.next.IsZero() {
			r.next = time.Now()
		}
		r.next = r.next.Add(r.pace)
		if err := transport.Sleep(ctx, time.Until(r.next)); err != nil {
			return transport.Unit{}, err
		}
	}
	f := r.pool.Get(r.size)
	r.last = r.last.Add(time.Microsecond)
	if now := time.Now(); now.After(r.last) {
		r.last = now
	}
	f.Format, f.Time = r.info.Format, r.last
	if r.number++; r.taken != nil {
		f.Sequence = r.number
		r.taken[r.number].Store(f.Time.UnixNano())
	}
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
	return transport.Unit{Frame: f, Info: r.info}, nil
}

// BenchmarkSeals passes video at a camera's pace through sessions with and without seals, which
// take turns. It reports what both ends, which are in this process, take of a core, and the
// median of what a frame takes from one to the other.
func BenchmarkSeals(b *testing.B) {
	for _, load := range []struct {
		name        string
		size, every int // bytes, and a second's fraction
	}{{"1080p30 JPEG", 300_000, 30}, {"1080p30 raw", 1920 * 1080 * 2, 30}, {"1 GB per second", 3840 * 2160 * 3 / 2, 80}} {
		b.Run(load.name, func(b *testing.B) {
			figures := map[string][]float64{}
			for b.Loop() {
				for name, properties := range map[string]transport.Properties{"checked": checkedDevice, "sealed": sealedDevice, "unsealed-frames": sealedDevice} {
					cpu, latency := passSecond(b, properties, name == "unsealed-frames", load.size, load.every)
					figures[name+"-ms/s"] = append(figures[name+"-ms/s"], cpu)
					figures[name+"-p50-ms"] = append(figures[name+"-p50-ms"], latency)
				}
			}
			for name, values := range figures {
				b.ReportMetric(medianOf(values), name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// passSecond passes one second of video, after a few frames, and returns milliseconds: of CPU
// time, and the median of the frames' latency.
func passSecond(b *testing.B, properties transport.Properties, unsealed bool, size, count int) (cpu, latency float64) {
	const warm = 10
	conns := unixPair(b)
	film := &reel{size: size, left: warm + count, pace: time.Second / time.Duration(count), taken: make([]atomic.Int64, warm+count+1)}
	film.info = &transport.Mode{Source: mjpeg1080.Source, Format: capture.Format{Pixel: capture.MJPEG, Width: 3840, Height: 2160}}
	log := slog.New(slog.DiscardHandler)
	s := &transport.Sender{Link: &fixed{conns[0], properties}, Catalogue: &transport.Single{Producer: film}, Log: log, UnsealedFrames: unsealed}
	r := &transport.Receiver{Link: &fixed{conns[1], properties}, Pool: &capture.Pool{}, Log: log}
	guardPair(b, s, r)
	watch := &stopwatch{film: film, warm: warm}
	watchStream(b, r, watch)
	end := inBackground(r.Run)
	if err := errors.Join(s.Run(b.Context()), end()); err != nil {
		b.Fatal(err)
	}
	return (watch.after - watch.before).Seconds() * 1e3, medianOf(watch.latencies)
}

// unixPair returns the ends of a Unix socket: as with a device, the kernel copies what passes.
func unixPair(b *testing.B) (conns [2]transport.Conn) {
	b.Helper()
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	return [2]transport.Conn{transport.NewConn(dialled), transport.NewConn(accepted)}
}

// stopwatch is a consumer that measures all frames but the first few.
type stopwatch struct {
	transport.NopConsumer
	film          *reel
	warm          int
	before, after time.Duration // CPU time of the process
	latencies     []float64     // in milliseconds
	frames        int
}

func (w *stopwatch) Frame(f *capture.Frame, _ capture.Lost) {
	took := time.Since(time.Unix(0, w.film.taken[f.Sequence].Load()))
	f.Release()
	switch w.frames++; {
	case w.frames == w.warm:
		w.before = processorTime()
	case w.frames > w.warm:
		w.latencies = append(w.latencies, took.Seconds()*1e3)
		w.after = processorTime()
	}
}

// processorTime is what this process has taken so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func medianOf(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

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
// heartbeatAllocs is what a heartbeat of both ends may allocate: on a busy machine there are
// many of them.
const heartbeatAllocs = 100

func testAllocations(t *testing.T, link transport.Properties, kind capture.Kind, film *reel, warm, count, allowed int) {
	var before, after runtime.MemStats
	a, b := net.Pipe()
	log := slog.New(slog.DiscardHandler)
	film.left = warm + count
	s := &transport.Sender{Link: &fixed{transport.NewConn(a), link}, Catalogue: &transport.Single{Producer: film}, Log: log}
	r := &transport.Receiver{Link: &fixed{transport.NewConn(b), link}, Pool: &capture.Pool{}, Log: log}
	guardPair(t, s, r)
	var begun time.Time
	second := &counter{left: count, enough: func() {
		runtime.ReadMemStats(&after)
		allowed += int(time.Since(begun)/transport.PingEvery) * heartbeatAllocs
	}}
	first := &counter{left: warm, enough: func() { runtime.ReadMemStats(&before); begun = time.Now() }, then: second}
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
