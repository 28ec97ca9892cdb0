package transport

import (
	"context"
	"io"
	"net"
	"time"
)

// Conn is one opening of a byte stream to the peer.
type Conn interface {
	io.Reader
	// WriteBuffers writes all of the buffers, in one system call where it can. It
	// may change bufs, but not the bytes.
	WriteBuffers(bufs [][]byte) error
	// Close wakes Read and WriteBuffers.
	Close() error
}

// Link opens the way to the peer, as often as it is needed.
type Link interface {
	// Open waits until the way is open, and before that as long as it should
	// have been closed. Its errors are those that waiting cannot fix, or the
	// context's.
	Open(ctx context.Context) (Conn, error)
	// Properties returns what a session must know of the link. They never change.
	Properties() Properties
	Close() error
	String() string
}

// Properties are what makes a link harder than a socket, which needs none of them: a
// Conn of that proves that a peer is there, and its bytes come whole and in order.
type Properties struct {
	// Greets: a Conn opens without a peer, so that a viewer waits for its greeting
	// indefinitely.
	Greets bool
	// Checksums: bytes may be lost or damaged, so that frames need checksums too.
	Checksums bool
	// Stale: a Conn may begin with what belongs to an older session.
	Stale bool
	// Stillness: where nothing came for longer than SPEC.md's "Suspend detection"
	// allows, a host slept and the Conn cannot be used any more.
	Stillness bool
	// Strangers: anybody may have the other end, so that peers must prove who they are.
	Strangers bool
}

// NewConn returns a Conn over a connection of package net.
func NewConn(conn net.Conn) Conn {
	if socket, ok := conn.(*net.UnixConn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return newSocketConn(socket, raw)
		}
	}
	return &netConn{Conn: conn}
}

type netConn struct {
	net.Conn
	bufs net.Buffers // WriteTo consumes it; a field saves an allocation
}

func (c *netConn) WriteBuffers(bufs [][]byte) error {
	c.bufs = bufs
	_, err := c.bufs.WriteTo(c.Conn)
	return err
}

// Sleep waits for a time, or returns the context's error. Links pause with it between two
// openings.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
