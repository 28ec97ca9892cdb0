package hub

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// arrivals notes when frames came.
type arrivals struct {
	transport.NopConsumer
	came func(number uint32, at time.Time)
}

// Frame implements transport.Consumer.
func (a *arrivals) Frame(f *capture.Frame, _ capture.Lost) {
	number := f.Sequence
	f.Release()
	a.came(number, time.Now())
}

// delays is how much later frames came to an attached viewer than to the one that has
// the line.
type delays struct {
	mu    sync.Mutex
	owner map[uint32]time.Time // when they came there
	all   []time.Duration
	want  int
	done  chan struct{} // closed when there are as many
}

func (d *delays) cameToOwner(number uint32, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner[number] = at
}

func (d *delays) cameToGuest(number uint32, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first, ok := d.owner[number]
	if !ok || len(d.all) == d.want {
		return
	}
	if d.all = append(d.all, at.Sub(first)); len(d.all) == d.want {
		close(d.done)
	}
}

// BenchmarkHub measures how much later a frame of 1080p as a JPEG (300 kB) has come to an
// attached viewer than to the one that has the line: at the median at most 0.2 ms.
func BenchmarkHub(b *testing.B) {
	d := &delays{owner: map[uint32]time.Time{}, want: b.N, done: make(chan struct{})}
	path := filepath.Join(b.TempDir(), "line")
	link, err := unixsock.Listen(path, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer link.Close()
	owner := &transport.Receiver{Link: link}
	guest := &transport.Receiver{Link: &benchDialer{path: path + "-hub"}}
	defer serveBench(b, owner, guest, path+"-hub", d).close()
	content := transporttest.Sample(1, 300_000)
	producer := &transporttest.Producer{Period: 5 * time.Millisecond, Content: func(uint32) []byte { return content }}
	sender := &transport.Sender{Link: &unixsock.Dialer{Path: path}, Catalogue: &transport.Single{Producer: producer}}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{sender.Run, owner.Run, guest.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	<-d.done
	cancel()
	running.Wait()
	slices.Sort(d.all)
	b.ReportMetric(float64(d.all[len(d.all)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(d.all[len(d.all)*99/100].Microseconds()), "µs-p99")
	b.ReportMetric(0, "ns/op") // which is the pace of the frames
}

// serveBench has the owner's hub listen on a socket, and both ask for frames.
func serveBench(b *testing.B, owner, guest *transport.Receiver, path string, d *delays) *server {
	h, err := New(owner, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := newServer(h)
	if err := s.listen(path); err != nil {
		b.Fatal(err)
	}
	stream, err := guest.Open(&arrivals{came: d.cameToGuest}, transport.Policy{})
	if err != nil {
		b.Fatal(err)
	}
	h.Subscribe(&arrivals{came: d.cameToOwner}).Start(capture.Want{})
	stream.Start(capture.Want{})
	return s
}

// benchDialer is a Link to a hub's socket.
type benchDialer struct{ path string }

func (d *benchDialer) Open(ctx context.Context) (transport.Conn, error) {
	return (&unixsock.Dialer{Path: d.path}).Open(ctx)
}
func (d *benchDialer) Properties() transport.Properties { return transport.Properties{Greets: true} }
func (d *benchDialer) Close() error                     { return nil }
func (d *benchDialer) String() string                   { return d.path }
