package transport

import (
	"bytes"
	"context"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport/wire"
)

// cable joins two Links in memory. It keeps to the time of the bubble it runs
// in, so that its delays cost nothing.
type cable struct {
	device   bool // both ends open without a peer, and what nobody hears is lost
	capacity int  // bytes on the way, after which a writer waits
	rate     int  // bytes per second; 0: no limit
	// delay and damage are asked for every packet, by its direction.
	delay  func(from *end) time.Duration
	damage func(from *end, packet []byte) []byte
	// seen, if set, is told of every record that is written.
	seen func(from *end, h wire.Header)

	mu             sync.Mutex
	changed        *sync.Cond
	sender, viewer *end
}

func newCable() *cable {
	c := &cable{
		capacity: 1 << 20,
		delay:    func(*end) time.Duration { return 10 * time.Microsecond },
		damage:   func(_ *end, packet []byte) []byte { return packet },
	}
	c.changed = sync.NewCond(&c.mu)
	c.sender, c.viewer = &end{cable: c}, &end{cable: c}
	c.sender.peer, c.viewer.peer = c.viewer, c.sender
	return c
}

// end is one side of a cable: a Link.
type end struct {
	cable   *cable
	peer    *end
	waiting bool // in Open
	conn    *cableConn
	opened  int           // times
	pause   time.Duration // before every opening but the first
}

func (e *end) Open(ctx context.Context) (Conn, error) {
	if e.opened > 0 && sleep(ctx, max(e.pause, time.Millisecond)) != nil {
		return nil, ctx.Err()
	}
	c := e.cable
	c.mu.Lock()
	defer c.mu.Unlock()
	defer context.AfterFunc(ctx, c.wake)()
	e.opened++
	if c.device {
		e.conn = &cableConn{end: e}
		return e.conn, nil
	}
	e.waiting, e.conn = true, nil
	if e.peer.waiting {
		a, b := &cableConn{end: e}, &cableConn{end: e.peer}
		a.to, b.to = b, a
		e.conn, e.peer.conn = a, b
		e.waiting, e.peer.waiting = false, false
		c.changed.Broadcast()
	}
	for e.conn == nil && ctx.Err() == nil {
		c.changed.Wait()
	}
	if e.conn == nil {
		e.waiting = false
		return nil, ctx.Err()
	}
	return e.conn, nil
}

func (e *end) Properties() Properties {
	device := e.cable.device
	return Properties{Greets: device, Checksums: device, Stale: device, Stillness: device}
}

func (e *end) Close() error   { return nil }
func (e *end) String() string { return "cable" }

func (c *cable) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// set changes what may be changed while the cable is in use.
func (c *cable) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// hear asks for every record to be shown to seen.
func (c *cable) hear(seen func(from *end, h wire.Header)) { c.set(func() { c.seen = seen }) }

// whole is the damage of a cable that has none.
func whole(_ *end, packet []byte) []byte { return packet }

// cut ends the connection at both ends, with the bytes that were on the way.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range []*end{c.sender, c.viewer} {
		if e.conn != nil {
			e.conn.packets, e.conn.size, e.conn.eof = nil, 0, true
		}
	}
	c.changed.Broadcast()
}

// packet is on the way until a time.
type packet struct {
	data []byte
	at   time.Time
}

// cableConn is one opening of an end.
type cableConn struct {
	end     *end
	to      *cableConn // nil on a device: whichever is open
	packets []packet   // to be read here
	size    int        // bytes of these
	last    time.Time  // when the last of them comes
	eof     bool       // the peer has closed
	closed  bool
}

func (c *cableConn) Read(p []byte) (int, error) {
	cable := c.end.cable
	cable.mu.Lock()
	defer cable.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, io.ErrClosedPipe
		case len(c.packets) > 0 && !time.Now().Before(c.packets[0].at):
			return c.take(p), nil
		case len(c.packets) > 0:
			time.AfterFunc(time.Until(c.packets[0].at), cable.wake)
		case c.eof:
			return 0, io.EOF
		}
		cable.changed.Wait()
	}
}

// take returns the bytes that have come.
func (c *cableConn) take(p []byte) (n int) {
	for now := time.Now(); len(c.packets) > 0 && n < len(p) && !now.Before(c.packets[0].at); {
		first := &c.packets[0]
		m := copy(p[n:], first.data)
		n += m
		if first.data = first.data[m:]; len(first.data) == 0 {
			c.packets = c.packets[1:]
		}
	}
	c.size -= n
	c.end.cable.changed.Broadcast()
	return n
}

func (c *cableConn) WriteBuffers(bufs [][]byte) error {
	data := bytes.Join(bufs, nil)
	var seen func(*end, wire.Header)
	c.end.cable.set(func() { seen = c.end.cable.seen })
	if seen != nil {
		h, _, _ := wire.Parse(data)
		seen(c.end, h)
	}
	for len(data) > 0 {
		n := min(len(data), wire.PacketSize)
		if err := c.send(bytes.Clone(data[:n])); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (c *cableConn) send(data []byte) error {
	cable := c.end.cable
	cable.mu.Lock()
	defer cable.mu.Unlock()
	for {
		to := c.to
		if cable.device {
			to = c.end.peer.conn
		}
		switch {
		case c.closed:
			return io.ErrClosedPipe
		case cable.device && (to == nil || to.closed):
			return nil
		case to.closed || c.eof:
			return syscall.EPIPE
		case to.size < cable.capacity:
			to.put(cable.damage(c.end, data), cable.delay(c.end))
			return nil
		}
		cable.changed.Wait()
	}
}

func (c *cableConn) put(data []byte, delay time.Duration) {
	if len(data) == 0 {
		return
	}
	now := time.Now()
	at := now.Add(delay)
	if rate := c.end.cable.rate; rate != 0 {
		at = at.Add(time.Duration(len(data)) * time.Second / time.Duration(rate))
		at = latest(at, c.last.Add(time.Duration(len(data))*time.Second/time.Duration(rate)))
	}
	c.last = latest(at, c.last)
	c.packets = append(c.packets, packet{data, c.last})
	c.size += len(data)
	c.end.cable.changed.Broadcast()
}

func (c *cableConn) Close() error {
	cable := c.end.cable
	cable.mu.Lock()
	defer cable.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if to := c.end.peer.conn; to != nil && (c.to == to || cable.device) {
		to.eof = true
	}
	cable.changed.Broadcast()
	return nil
}

// deviceEnd returns a link with the properties of a device.
func deviceEnd() Link {
	c := newCable()
	c.device = true
	return c.sender
}
