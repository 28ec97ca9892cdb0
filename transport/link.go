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
	// WriteBuffers writes all of the buffers, in one system call where it can. It
	// may change bufs, but not the bytes.
	WriteBuffers(bufs [][]byte) error
	// Close wakes Read and WriteBuffers.
	Close() error
}

// Link opens the way to the peer, as often as it is needed.
type Link interface {
	// Open waits until the way is open, and before that as long as it should
	// have been closed. Its errors are those that waiting cannot cure, or the
	// context's.
	Open(ctx context.Context) (Conn, error)
	// Accepts reports whether a Conn proves that a peer is there. A device
	// opens without one, so that a viewer then waits for ever to be greeted.
	Accepts() bool
	Close() error
	String() string
}

// redial is how long a dialler waits between two attempts, and two connections.
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

	dialled bool // before
}

// Open dials until a viewer listens.
func (d *UnixDialer) Open(ctx context.Context) (Conn, error) {
	if err := checkPath(d.Path); err != nil {
		return nil, fmt.Errorf("open stream %v: %w", d, err)
	}
	var dialer net.Dialer
	for waiting := false; ; waiting = true {
		if d.dialled && sleep(ctx, redial) != nil {
			return nil, ctx.Err()
		}
		d.dialled = true
		conn, err := dialer.DialContext(ctx, "unix", d.Path)
		switch {
		case err == nil:
			return &socketConn{Conn: conn}, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !absent(err):
			return nil, fmt.Errorf("open stream %v: %w", d, err)
		case !waiting:
			d.Log.Info("waiting for tbcam-view", "stream", d.String())
		}
	}
}

// absent reports whether a dial failed because nobody listens, or is too busy.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN)
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

// maxPath is what a socket's address holds, less its last zero and the process
// ID of a temporary name (unix(7)).
const maxPath = 108 - 1 - len(".4194304")

func checkPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("the path has %d bytes, a socket's at most %d; choose a shorter one", len(path), maxPath)
	}
	return nil
}

// checkStale reports why path may not be replaced.
func checkStale(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
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
	if err := l.listener.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("accept on %v: %w", l, err)
	}
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
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.listener.Close())
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
