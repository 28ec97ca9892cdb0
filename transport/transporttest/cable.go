package transporttest

import (
	"bytes"
	"context"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// Cable joins two Links in memory. In a bubble of testing/synctest its delays cost
// nothing. While it is in use, what is exported may be changed only in Change.
type Cable struct {
	Device   bool // both ends open without a peer, and what nobody reads is lost
	Capacity int  // bytes on the way, after which a writer waits
	Rate     int  // bytes per second; 0: no limit
	// Delay and Damage are called for every packet, with where it comes from.
	Delay  func(from *End) time.Duration
	Damage func(from *End, packet []byte) []byte
	// Written, if set, is called with every record.
	Written func(from *End, h wire.Header)

	// Sender and Viewer are the ends.
	Sender, Viewer *End

	mu      sync.Mutex
	changed *sync.Cond
}

// NewCable returns a cable that damages nothing.
func NewCable() *Cable {
	c := &Cable{
		Capacity: 1 << 20,
		Delay:    func(*End) time.Duration { return 10 * time.Microsecond },
		Damage:   func(_ *End, packet []byte) []byte { return packet },
	}
	c.changed = sync.NewCond(&c.mu)
	c.Sender, c.Viewer = &End{cable: c}, &End{cable: c}
	c.Sender.peer, c.Viewer.peer = c.Viewer, c.Sender
	return c
}

// End is one side of a Cable. It implements transport.Link.
type End struct {
	Pause time.Duration // before every opening but the first

	cable   *Cable
	peer    *End
	waiting bool // in Open
	conn    *cableConn
	opened  int // times
}

// Open implements transport.Link.
func (e *End) Open(ctx context.Context) (transport.Conn, error) {
	if e.opened > 0 && transport.Sleep(ctx, max(e.Pause, time.Millisecond)) != nil {
		return nil, ctx.Err()
	}
	c := e.cable
	c.mu.Lock()
	defer c.mu.Unlock()
	defer context.AfterFunc(ctx, c.wakeReaders)()
	e.opened++
	if c.Device {
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

// Properties implements transport.Link: none, or all where the cable is a Device.
func (e *End) Properties() transport.Properties {
	device := e.cable.Device
	return transport.Properties{Greets: device, Checksums: device, Stale: device, Stillness: device, Strangers: device}
}

// Opened returns how often the end was opened.
func (e *End) Opened() (times int) {
	e.cable.Change(func() { times = e.opened })
	return times
}

// Close implements transport.Link.
func (e *End) Close() error { return nil }

func (e *End) String() string { return "cable" }

func (c *Cable) wakeReaders() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// Change changes the cable while it is in use.
func (c *Cable) Change(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// Cut ends the connection at both ends, with the bytes that were on the way.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range []*End{c.Sender, c.Viewer} {
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
	end     *End
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
			return c.takeArrived(p), nil
		case len(c.packets) > 0:
			time.AfterFunc(time.Until(c.packets[0].at), cable.wakeReaders)
		case c.eof:
			return 0, io.EOF
		}
		cable.changed.Wait()
	}
}

// takeArrived returns the bytes that have come.
func (c *cableConn) takeArrived(p []byte) (n int) {
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
	var seen func(*End, wire.Header)
	c.end.cable.Change(func() { seen = c.end.cable.Written })
	for rest := data; seen != nil && len(rest) > 0; {
		h, payload, _ := wire.Parse(rest)
		seen(c.end, h)
		rest = rest[min(len(rest), wire.HeaderSize+len(payload)):]
	}
	for len(data) > 0 {
		n := min(len(data), wire.PacketSize)
		if err := c.sendData(bytes.Clone(data[:n])); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (c *cableConn) sendData(data []byte) error {
	cable := c.end.cable
	cable.mu.Lock()
	defer cable.mu.Unlock()
	for {
		to := c.to
		if cable.Device {
			to = c.end.peer.conn
		}
		switch {
		case c.closed:
			return io.ErrClosedPipe
		case cable.Device && (to == nil || to.closed):
			return nil
		case to.closed || c.eof:
			return syscall.EPIPE
		case to.size < cable.Capacity:
			to.putDelayed(cable.Damage(c.end, data), cable.Delay(c.end))
			return nil
		}
		cable.changed.Wait()
	}
}

func (c *cableConn) putDelayed(data []byte, delay time.Duration) {
	if len(data) == 0 {
		return
	}
	now := time.Now()
	at := now.Add(delay)
	if rate := c.end.cable.Rate; rate != 0 {
		at = at.Add(time.Duration(len(data)) * time.Second / time.Duration(rate))
		at = laterTime(at, c.last.Add(time.Duration(len(data))*time.Second/time.Duration(rate)))
	}
	c.last = laterTime(at, c.last)
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
	if to := c.end.peer.conn; to != nil && (c.to == to || cable.Device) {
		to.eof = true
	}
	cable.changed.Broadcast()
	return nil
}

func laterTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
