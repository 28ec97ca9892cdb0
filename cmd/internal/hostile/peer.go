package hostile

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// patience is how long a connection may take in all: a program that stops reading
// fails its test.
const patience = 2 * time.Minute

// Stream is the one that a Peer uses.
const Stream = 1

// Peer is one connection to a program. OpenSession and AcceptSession begin a
// session; without them the Peer sends nothing by itself. Write and what begins with
// it may be called by any goroutine; their error means that the program hung up.
type Peer struct {
	conn   conn
	reader *wire.Reader
	begun  time.Time
	credit atomic.Uint64 // the last one that was read
	ended  atomic.Bool   // nothing can be read any more

	mu       sync.Mutex // held while writing
	session  uint32
	sequence uint32 // of the next record
}

// conn is a socket, or a device.
type conn interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// OpenDevice opens one end of a stream device, for a time: the program at the other end
// does not notice when a Peer closes it.
func OpenDevice(t testing.TB, path string, patience time.Duration) *Peer {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, file, patience)
}

// Dial connects to the tbcam-view that listens at path, for which it waits.
func Dial(t testing.TB, path string) *Peer {
	t.Helper()
	for end := time.Now().Add(patience / 4); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			return newPeer(t, conn, patience)
		}
		if time.Now().After(end) {
			t.Fatalf("connect to tbcam-view: %v", err)
		}
	}
}

// Listener takes the connections of a tbcam-send.
type Listener struct {
	t        testing.TB
	listener net.Listener
}

// Listen listens at path until the test ends.
func Listen(t testing.TB, path string) *Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &Listener{t, l}
}

// Accept waits for the next connection.
func (l *Listener) Accept() *Peer {
	l.t.Helper()
	conn, err := l.listener.Accept()
	if err != nil {
		l.t.Fatalf("wait for tbcam-send: %v", err)
	}
	return newPeer(l.t, conn, patience)
}

func newPeer(t testing.TB, conn conn, patience time.Duration) *Peer {
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &Peer{conn: conn, reader: wire.NewReader(conn), begun: time.Now().Add(-time.Hour), session: 7}
}

// Close hangs up.
func (p *Peer) Close() { p.conn.Close() }

// Now returns the time on the clock that the Peer reports.
func (p *Peer) Now() int64 { return int64(time.Since(p.begun)) }

// OpenSession begins a session as a sender, up to the viewer's START and CREDIT.
func (p *Peer) OpenSession() error {
	if err := p.Greet(); err != nil {
		return err
	}
	for _, t := range [...]wire.Type{wire.Welcome, wire.Ping, wire.Start, wire.Credit} {
		if _, err := p.Read(t); err != nil {
			return err
		}
	}
	return nil
}

// Greet writes a HELLO.
func (p *Peer) Greet() error { return p.WriteMessage(wire.Hello, 0, self("tbcam-send")) }

// AcceptSession begins a session as a viewer, up to the sender's PONG.
func (p *Peer) AcceptSession() error {
	if _, err := p.Read(wire.Hello); err != nil {
		return err
	}
	if err := p.WriteMessage(wire.Welcome, 0, self("tbcam-view")); err != nil {
		return err
	}
	if err := p.Write(wire.Header{Type: wire.Ping}, wire.AppendPing(nil, p.Now())); err != nil {
		return err
	}
	_, err := p.Read(wire.Pong)
	return err
}

func self(program string) transport.Peer {
	return transport.Peer{
		Program: program, Version: "hostile", Host: "test", Protocol: [2]int{transport.Protocol, transport.Protocol},
		Features: []string{transport.FeatureControls},
	}
}

// Read returns the payload of the next record of a type, valid until the next call,
// and passes over others.
func (p *Peer) Read(t wire.Type) ([]byte, error) {
	for {
		h, payload, err := p.ReadRecord()
		if err != nil {
			return nil, fmt.Errorf("wait for %v: %w", t, err)
		}
		if h.Type == t {
			return payload, nil
		}
	}
}

// ReadRecord returns the next record, whose payload is valid until the next call. It
// answers each PING and keeps the CREDIT. One goroutine may read.
func (p *Peer) ReadRecord() (wire.Header, []byte, error) {
	h, payload, err := p.reader.Next()
	if err == nil {
		err = p.attend(h, payload)
	}
	if err != nil {
		p.ended.Store(true)
	}
	return h, payload, err
}

// attend does what keeps a session alive.
func (p *Peer) attend(h wire.Header, payload []byte) (err error) {
	switch h.Type {
	case wire.Hello:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.session = h.Session
	case wire.Ping:
		x := wire.Clock{Received: p.Now()}
		if x.Ping, err = wire.ParsePing(payload); err == nil {
			x.Pong = p.Now()
			err = p.Write(wire.Header{Type: wire.Pong}, wire.AppendPong(nil, x))
		}
	case wire.Credit:
		var credit uint64
		credit, err = wire.ParseCredit(payload)
		p.credit.Store(credit)
	}
	return err
}

// Drain reads until the program hangs up.
func (p *Peer) Drain() {
	for _, err := p.Read(0); err == nil; _, err = p.Read(0) {
	}
}

// WaitCredit waits until the viewer has allowed n frames in all, while another
// goroutine reads.
func (p *Peer) WaitCredit(n uint64) error {
	for p.credit.Load() < n {
		if p.ended.Load() {
			return io.EOF
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Write writes a record. The session and the sequence are the Peer's.
func (p *Peer) Write(h wire.Header, payload []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.Session, h.Sequence = p.session, p.sequence
	p.sequence++
	_, err := p.conn.Write(wire.Append(nil, h, payload))
	return err
}

// WriteVideo writes a record of the stream of video.
func (p *Peer) WriteVideo(t wire.Type, payload []byte) error {
	return p.Write(wire.Header{Type: t, Stream: Stream}, payload)
}

// WriteMessage writes a record with a payload of JSON.
func (p *Peer) WriteMessage(t wire.Type, stream uint16, message any) error {
	payload, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return p.Write(wire.Header{Type: t, Stream: stream}, payload)
}

// WriteFrame writes a frame in records of the largest size. Its Size is set.
func (p *Peer) WriteFrame(head wire.FrameHeader, data []byte) error {
	head.Size = uint32(len(data))
	rest := append(head.Append(nil), data...)
	flags := wire.First
	for {
		n := min(len(rest), wire.MaxPayload)
		if n == len(rest) {
			flags |= wire.Last
		}
		h := wire.Header{Type: wire.Frame, Flags: flags, Stream: Stream}
		if err := p.Write(h, rest[:n]); err != nil || n == len(rest) {
			return err
		}
		rest, flags = rest[n:], 0
	}
}

// WriteRaw writes bytes as they are.
func (p *Peer) WriteRaw(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.conn.Write(b)
	return err
}
