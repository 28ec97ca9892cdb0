package tbsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
)

// wireLine is a cable between two stream devices.
type wireLine struct{ *Cable }

func newWire(rng *rand.Rand, seed uint64, k Kernel) wireLine {
	o := Options{
		Kernel:  k,
		Ring:    32 << rng.IntN(4),
		Rate:    int64(drawSpread(rng, 2e6, 1e9)),
		Latency: time.Duration(rng.IntN(100)) * time.Microsecond,
		Unheard: Unheard(rng.IntN(2)),
		Seed:    seed,
	}
	if rng.IntN(4) == 0 {
		o.Peer = Kernels[rng.IntN(len(Kernels))]
	}
	return wireLine{New(o)}
}

func (w wireLine) String() string { return fmt.Sprintf("%+v", w.options) }

func (w wireLine) link(end int) transport.Link {
	return w.End(end).Link([]time.Duration{tbdev.SenderPause, tbdev.ViewerPause}[end])
}

func (w wireLine) strike(e Event) {
	e.At = 0
	w.Run(Schedule{e})
}

func (w wireLine) kinds() []Kind {
	return []Kind{Unplug, Damage, Suspend, Stall, Slow, NoHopIDs, NoRings}
}

func (w wireLine) bound(x trouble) time.Duration {
	if x.what == "" && (x.Kind == Suspend || x.Kind == Stall || x.Kind == Slow) {
		return silentDeath
	}
	return seenDeath
}

// unseen counts the CLOSEs that an open device was to see and did not.
func (w wireLine) unseen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[0].unseen + w.ends[1].unseen
}

func (w wireLine) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[0].users + w.ends[1].users
}

// sockets is a Unix stream socket on which the viewer listens. A real one would
// stop the bubble's time.
type sockets struct {
	mu        sync.Mutex
	changed   *sync.Cond
	listening bool
	backlog   []*socket
	frozen    [2]bool // the program does nothing
	cut       [2]int  // ends the connection in so many bytes; 0: not
	live      []*socket
	handles   int
}

func newSockets() *sockets {
	s := &sockets{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *sockets) String() string { return "socket" }

func (s *sockets) link(end int) transport.Link {
	if end == theViewer {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.listening = true
		s.handles++
		return &listener{sockets: s}
	}
	return &dialer{sockets: s}
}

func (s *sockets) kinds() []Kind { return []Kind{Unplug, Suspend} }

func (s *sockets) bound(trouble) time.Duration { return onSocket }
func (s *sockets) unseen() int                 { return 0 }

func (s *sockets) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handles
}

// strike freezes a program, or ends the connection, which nothing but the end of a
// program between the two does.
func (s *sockets) strike(e Event) {
	s.set(func() {
		switch {
		case e.Kind == Suspend:
			s.frozen[e.End] = true
		case e.N == 0:
			s.reset()
		default:
			s.cut[e.End] = e.N
		}
	})
	time.AfterFunc(e.For, func() {
		s.set(func() { s.frozen[e.End], s.cut[e.End] = false, 0 })
	})
}

// set changes something and wakes all.
func (s *sockets) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// reset ends the connections, with what is on the way.
func (s *sockets) reset() {
	for _, c := range s.live {
		c.data, c.err = nil, syscall.ECONNRESET
	}
}

// socketBuffer is net.core.wmem_default: what may be written and not read.
const socketBuffer = 212992

// socket is one end of a connection.
type socket struct {
	*sockets
	end    int
	peer   *socket
	data   []byte // to be read
	err    error  // of a read when that is done, and of a write
	closed bool
}

func (c *socket) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, io.ErrClosedPipe
		case c.frozen[c.end]:
		case len(c.data) > 0:
			n := copy(p, c.data)
			c.data = c.data[n:]
			c.changed.Broadcast()
			return n, nil
		case c.err != nil:
			return 0, c.err
		}
		c.changed.Wait()
	}
}

func (c *socket) WriteBuffers(bufs [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range bufs {
		for len(b) > 0 {
			n, err := c.write(b)
			if err != nil {
				return err
			}
			b = b[n:]
		}
	}
	return nil
}

// write waits for room.
func (c *socket) write(b []byte) (int, error) {
	for {
		room := socketBuffer - len(c.peer.data)
		switch {
		case c.closed:
			return 0, io.ErrClosedPipe
		case c.frozen[c.end]:
		case c.err != nil:
			return 0, syscall.EPIPE
		case room > 0:
			return c.send(b[:min(len(b), room)]), nil
		}
		c.changed.Wait()
	}
}

func (c *socket) send(b []byte) int {
	defer c.changed.Broadcast()
	if cut := c.cut[c.end]; cut > 0 && cut <= len(b) {
		c.cut[c.end] = 0
		c.reset()
		return len(b)
	} else if cut > 0 {
		c.cut[c.end] -= len(b)
	}
	c.peer.data = append(c.peer.data, b...)
	return len(b)
}

// Close leaves the peer what was written, unless something was not read here
// (unix_release_sock).
func (c *socket) Close() error {
	c.set(func() {
		if c.closed {
			return
		}
		c.closed = true
		c.handles--
		if c.peer.err == nil {
			c.peer.err = io.EOF
			if len(c.data) > 0 {
				c.peer.err = syscall.ECONNRESET
			}
		}
		c.data = nil
	})
	return nil
}

// connect puts a connection into the backlog.
func (s *sockets) connect() (transport.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.listening {
		return nil, syscall.ECONNREFUSED
	}
	a, b := &socket{sockets: s, end: theSender}, &socket{sockets: s, end: theViewer}
	a.peer, b.peer = b, a
	s.live = []*socket{a, b}
	s.handles += 2
	s.backlog = append(s.backlog, b)
	s.changed.Broadcast()
	return a, nil
}

// dialer is as unixsock.Dialer.
type dialer struct {
	*sockets
	dialled bool
}

func (d *dialer) Open(ctx context.Context) (transport.Conn, error) {
	for {
		if d.dialled {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		d.dialled = true
		if c, err := d.connect(); err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return c, err
		}
	}
}

func (d *dialer) Properties() transport.Properties { return transport.Properties{} }
func (d *dialer) Close() error                     { return nil }

// listener is as unixsock.Listener.
type listener struct{ *sockets }

func (l *listener) Open(ctx context.Context) (transport.Conn, error) {
	defer context.AfterFunc(ctx, func() { l.set(func() {}) })()
	l.mu.Lock()
	defer l.mu.Unlock()
	for ctx.Err() == nil && (len(l.backlog) == 0 || l.frozen[theViewer]) {
		l.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

func (l *listener) Properties() transport.Properties { return transport.Properties{} }

// Close refuses those that were not accepted.
func (l *listener) Close() error {
	var waiting []*socket
	l.set(func() {
		l.listening = false
		l.handles--
		waiting, l.backlog = l.backlog, nil
	})
	for _, c := range waiting {
		c.Close()
	}
	return nil
}
