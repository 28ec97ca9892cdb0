package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"
)

// Conn is one opening of a byte stream to the peer.
type Conn interface {
	io.Reader
	// WriteBuffers writes all of the buffers, in one system call where it can.
	WriteBuffers(bufs [][]byte) error
	// Close wakes Read and WriteBuffers. It may be called twice.
	Close() error
}

// Link opens the way to the peer, as often as it is needed.
type Link interface {
	// Open waits until the way is open. Its errors are those that waiting
	// cannot cure, or the context's.
	Open(ctx context.Context) (Conn, error)
	// Accepts reports whether a Conn proves that a peer is there. A device
	// opens without one, so that a viewer then waits for ever to be greeted.
	Accepts() bool
	Close() error
	String() string
}

// redial is how long a dialler waits between attempts.
const redial = 50 * time.Millisecond

// socketConn adapts a socket to Conn.
type socketConn struct {
	net.Conn
	bufs net.Buffers // WriteTo consumes it; a field saves an allocation
}

func (c *socketConn) WriteBuffers(bufs [][]byte) error {
	c.bufs = bufs
	_, err := c.bufs.WriteTo(c.Conn)
	return err
}

// UnixDialer is the sender's Link to a viewer that listens on a Unix socket.
type UnixDialer struct {
	Path string
	Log  *slog.Logger
}

// Open dials until a viewer listens.
func (d *UnixDialer) Open(ctx context.Context) (Conn, error) {
	var dialer net.Dialer
	for waiting := false; ; waiting = true {
		conn, err := dialer.DialContext(ctx, "unix", d.Path)
		switch {
		case err == nil:
			return &socketConn{Conn: conn}, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
			return nil, fmt.Errorf("open stream %v: %w", d, err)
		case !waiting:
			d.Log.Info("waiting for tbcam-view", "stream", d.String())
		}
		if err := sleep(ctx, redial); err != nil {
			return nil, err
		}
	}
}

// Accepts is true: a socket is connected to a process that listens.
func (d *UnixDialer) Accepts() bool { return true }

// Close does nothing: the dialler holds nothing.
func (d *UnixDialer) Close() error { return nil }

func (d *UnixDialer) String() string { return "unix:" + d.Path }

// UnixListener is the viewer's Link: it listens and takes one sender at a time.
type UnixListener struct {
	path     string
	listener *net.UnixListener
}

// ListenUnix makes the socket, mode 0600, in place of one that nobody listens on.
func ListenUnix(path string) (*UnixListener, error) {
	if err := checkStale(path); err != nil {
		return nil, fmt.Errorf("open stream unix:%s: %w", path, err)
	}
	// Bound under another name first: at its own it appears with its mode set,
	// and takes the place of the stale one in one step.
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	os.Remove(temporary)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open stream unix:%s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(temporary, 0o600), os.Rename(temporary, path)); err != nil {
		l.Close()
		os.Remove(temporary)
		return nil, fmt.Errorf("open stream unix:%s: %w", path, err)
	}
	return &UnixListener{path, l}, nil
}

// checkStale reports why path may not be replaced.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("it exists and is not a socket; choose another path")
	}
	conn, err := net.Dial("unix", path)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	conn.Close()
	return errors.New("another program listens there; end it, or choose another path")
}

// Open waits for a sender.
func (l *UnixListener) Open(ctx context.Context) (Conn, error) {
	stop := context.AfterFunc(ctx, func() { l.listener.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := l.listener.Accept()
	if ctx.Err() != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("accept on %v: %w", l, err)
	}
	return &socketConn{Conn: conn}, nil
}

// Accepts is true: a sender has connected.
func (l *UnixListener) Accepts() bool { return true }

// Close stops listening and removes the socket.
func (l *UnixListener) Close() error {
	return errors.Join(os.Remove(l.path), l.listener.Close())
}

func (l *UnixListener) String() string { return "unix:" + l.path }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
