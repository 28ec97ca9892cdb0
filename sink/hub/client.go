package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

const (
	// writeWait is how long a client may take to read what it asked for.
	writeWait = 2 * time.Second
	// settingWait is how long the sender may take to answer a setting.
	settingWait = 10 * time.Second
)

// client is one connection to the hub. It implements transport.Catalogue: the client's
// streams are subscriptions.
type client struct {
	hub    *Hub
	memory *memory
	ctx    context.Context // of the connection

	mu      sync.Mutex
	streams []*clientStream
}

// serveClient serves a connection until the context ends, the sender's session does, or
// the client leaves.
func (h *Hub) serveClient(ctx context.Context, conn transport.Conn, m *memory) error {
	defer conn.Close() // which a session has done, if there was one
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	far, early, err := h.greetWhenReady(ctx, conn)
	if err != nil {
		return err
	}
	defer h.endWith(far, cancel)()
	c := &client{hub: h, memory: m, ctx: ctx}
	defer c.close()
	sender := &transport.Sender{
		Link: &clientLink{conn: timedConn{early, conn}}, Catalogue: c,
		Program: far.peer.Program, Version: far.peer.Version, Host: far.peer.Host, Skew: h.receiver.Drift,
	}
	if err := sender.Run(ctx); !errors.Is(err, errClientLeft) {
		return err
	}
	return nil
}

// greetWhenReady waits for a session with the sender, so that a client is offered one
// when there is something behind it. A client that leaves or writes before it was greeted
// is none. early is what reads the connection from then on.
func (h *Hub) greetWhenReady(ctx context.Context, conn transport.Conn) (s *session, early io.Reader, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := newFirstRead(conn)
	go func() {
		select {
		case <-first.done: // nothing that is allowed to come before the greeting
			cancel()
		case <-ctx.Done():
		}
	}()
	s, err = h.awaitSession(ctx)
	return s, first, err
}

// firstRead reads the beginning of a connection before anybody asks for it, to notice
// when the peer closes it. It implements io.Reader.
type firstRead struct {
	conn transport.Conn
	done chan struct{} // closed when something was read
	data []byte
	err  error
}

func newFirstRead(conn transport.Conn) *firstRead {
	r := &firstRead{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		data := make([]byte, 4096)
		n, err := conn.Read(data)
		r.data, r.err = data[:n], err
	}()
	return r
}

func (r *firstRead) Read(p []byte) (int, error) {
	<-r.done
	if len(r.data) > 0 {
		n := copy(p, r.data)
		r.data = r.data[n:]
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.conn.Read(p)
}

// endWith ends a client with the sender's session, until the returned function is called.
func (h *Hub) endWith(far *session, cancel func()) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-far.ended:
			cancel()
		case <-stopped:
		}
	}()
	return func() { close(stopped) }
}

// clientLink is a transport.Link of one connection.
type clientLink struct {
	conn transport.Conn
	used bool
}

var errClientLeft = errors.New("client has left")

// Open implements transport.Link.
func (l *clientLink) Open(context.Context) (transport.Conn, error) {
	if l.used {
		return nil, errClientLeft
	}
	l.used = true
	return l.conn, nil
}

// Properties implements transport.Link: it is a socket.
func (l *clientLink) Properties() transport.Properties { return transport.Properties{} }

// Close implements transport.Link.
func (l *clientLink) Close() error { return nil }

func (l *clientLink) String() string { return "hub" }

// timedConn is a connection whose peer must read what it is sent.
type timedConn struct {
	reader io.Reader
	transport.Conn
}

func (c timedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// WriteBuffers implements transport.Conn.
func (c timedConn) WriteBuffers(bufs [][]byte) error {
	if d, ok := c.Conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := d.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
			return err
		}
	}
	return c.Conn.WriteBuffers(bufs)
}

// Cameras implements transport.Catalogue.
func (c *client) Cameras(ctx context.Context) []capture.Device {
	cameras, _ := c.hub.Cameras(ctx) // or the client is gone
	return cameras
}

// Open implements transport.Catalogue.
func (c *client) Open(out *transport.SenderStream) transport.Producer {
	s := &clientStream{client: c, out: out, ready: make(chan struct{}, 1)}
	s.subscription = c.hub.Subscribe(clientConsumer{s})
	out.ReportControls(s.subscription.Controls()) // before the viewer asks
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = append(c.streams, s)
	return s
}

func (c *client) close() {
	c.mu.Lock()
	streams := c.streams
	c.mu.Unlock()
	for _, s := range streams {
		s.subscription.Close()
		s.drop()
	}
}

// How many frames are held for a client: the newest, or all of a short pause where it
// has granted more than a live view needs. Of audio every block counts.
const (
	maxHeld    = 8
	liveWindow = 2
	maxBlocks  = 64
)

// clientStream is a stream of a client. It implements transport.Producer: what the
// client is sent are frames as received, by reference.
type clientStream struct {
	client       *client
	out          *transport.SenderStream
	subscription *Subscription

	mu      sync.Mutex
	stopped bool // the client has left
	queue   []transport.Unit
	sending int // bytes of the frame that Next returned last
	mode    *transport.Mode
	lost    capture.Lost // the sender's totals
	dropped uint64
	ready   chan struct{} // there is a frame
}

// Start implements transport.Producer.
func (s *clientStream) Start(number uint32, want capture.Want) {
	s.subscription.start(number, want, s.out.AcceptsRaw())
}

// Stop implements transport.Producer.
func (s *clientStream) Stop() {
	s.subscription.Stop()
	s.discard()
}

// Next implements transport.Producer. It returns every frame that is held: the newest
// ones are what is left when the client is slow.
func (s *clientStream) Next(ctx context.Context) (transport.Unit, error) {
	for {
		if unit, ok := s.take(); ok {
			return unit, nil
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return transport.Unit{}, ctx.Err()
		}
	}
}

func (s *clientStream) take() (unit transport.Unit, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client.memory.add(-s.sending) // the writer has let go of it
	s.sending = 0
	if len(s.queue) == 0 {
		return unit, false
	}
	unit = s.queue[0]
	s.queue = append(s.queue[:0], s.queue[1:]...)
	s.sending = len(unit.Frame.Data)
	return unit, true
}

// put holds a frame for the client, in the place of older ones where there are too many.
func (s *clientStream) put(f *capture.Frame, lost capture.Lost) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = lost
	depth := s.depthFor(f)
	memory, size := s.client.memory, len(f.Data)
	for len(s.queue) > 0 && (len(s.queue) >= depth || !memory.fits(size)) {
		s.dropOldest()
	}
	// However little memory there is, each client has one frame on its way.
	if s.stopped || s.mode == nil || s.sending > 0 && !memory.fits(size) {
		s.dropped++
		f.Release()
		return
	}
	memory.add(size)
	s.queue = append(s.queue, transport.Unit{Frame: f, Info: s.mode, Lost: s.totals()})
	notify(s.ready)
}

// depthFor returns how many frames like one are held.
func (s *clientStream) depthFor(f *capture.Frame) int {
	switch {
	case f.Format.IsAudio():
		return maxBlocks
	case s.out.Window() > liveWindow:
		return maxHeld
	}
	return 1
}

// dropOldest drops a frame for a newer one. s.mu is held.
func (s *clientStream) dropOldest() {
	f := s.queue[0].Frame
	s.queue = append(s.queue[:0], s.queue[1:]...)
	s.client.memory.add(-len(f.Data))
	f.Release()
	s.dropped++
}

// discard drops what nobody waits for.
func (s *clientStream) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		s.dropOldest()
		s.dropped--
	}
}

// drop ends the stream.
func (s *clientStream) drop() {
	s.discard()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.client.memory.add(-s.sending)
	s.sending = 0
}

// totals returns what the client has not got. s.mu is held.
func (s *clientStream) totals() capture.Lost {
	lost := s.lost
	lost.Superseded += s.dropped
	return lost
}

// Lost implements transport.Producer.
func (s *clientStream) Lost() capture.Lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals()
}

// SetControl implements transport.Producer.
func (s *clientStream) SetControl(setting capture.Setting) (capture.Setting, error) {
	type answer struct {
		granted capture.Setting
		err     error
	}
	answers := make(chan answer, 1)
	s.subscription.SetControl(setting, func(granted capture.Setting, err error) { answers <- answer{granted, err} })
	ctx, cancel := context.WithTimeout(s.client.ctx, settingWait)
	defer cancel()
	select {
	case a := <-answers:
		if a.err == nil {
			s.subscription.noteSetting(a.granted)
		}
		return a.granted, a.err
	case <-ctx.Done():
		return capture.Setting{}, fmt.Errorf("set control: no answer from the sender: %w", ctx.Err())
	}
}
