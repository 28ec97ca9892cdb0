package unixsock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport"
)

// redial is how long a dialler waits between two connections, and before its second
// attempt; before each further one twice as long, but no longer than unwatched, or watched
// where it learns when a viewer makes the socket. Even there it looks by itself: a viewer
// may bind the socket long before it listens, and the path may be a symbolic link.
const (
	redial    = 50 * time.Millisecond
	unwatched = 400 * time.Millisecond
	watched   = 800 * time.Millisecond
)

// Dialer is the sender's transport.Link to a viewer that listens on a Unix socket.
type Dialer struct {
	Path  string
	Allow Users        // whose viewer it may be
	Log   *slog.Logger // nil discards

	dialled bool // before
}

// Open dials until a viewer listens. One of a user who may not is an error: whoever
// binds a path in a common directory first would get the frames.
func (d *Dialer) Open(ctx context.Context) (transport.Conn, error) {
	if err := checkPath(d.Path); err != nil {
		return nil, fmt.Errorf("open stream %v: %w", d, err)
	}
	if d.dialled && transport.Sleep(ctx, redial) != nil {
		return nil, ctx.Err()
	}
	d.dialled = true
	w := waiter{path: d.Path}
	defer w.closeWatch()
	var dialer net.Dialer
	for waiting := false; ; waiting = true {
		conn, err := dialer.DialContext(ctx, "unix", d.Path)
		switch {
		case err == nil:
			return d.checkPeer(conn)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !nobodyListens(err):
			return nil, fmt.Errorf("open stream %v: %w", d, err)
		case !waiting && d.Log != nil:
			d.Log.Info("waiting for a viewer", "stream", d.String())
		}
		if w.waitRedial(ctx, errors.Is(err, syscall.EAGAIN)) != nil {
			return nil, ctx.Err()
		}
	}
}

// waiter waits between the attempts of a dialler.
type waiter struct {
	path  string
	watch *watch // nil while the directory is not watched
	next  time.Duration
}

// waitRedial waits until another attempt is due: where a viewer listens that is busy, there is
// nothing to be learned of it. The error is that of the context.
func (w *waiter) waitRedial(ctx context.Context, busy bool) error {
	if w.next == 0 {
		w.next = redial
	}
	if w.watch == nil {
		w.watch, _ = newWatch(w.path) // without one, attempts come more often
	}
	if w.watch == nil || busy {
		d := min(w.next, unwatched)
		w.next = 2 * d
		return transport.Sleep(ctx, d)
	}
	d := min(w.next, watched)
	w.next = 2 * d
	switch err := w.watch.waitChange(ctx, d); {
	case err == nil: // it is there: if nobody listens yet, that will not take long
		w.next = redial
	case !errors.Is(err, os.ErrDeadlineExceeded):
		w.closeWatch()
	}
	return ctx.Err()
}

func (w *waiter) closeWatch() {
	w.watch.closeWatch()
	w.watch = nil
}

func (d *Dialer) checkPeer(conn net.Conn) (transport.Conn, error) {
	if err := d.Allow.Check(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open stream %v: %w", d, err)
	}
	return transport.NewConn(conn), nil
}

// nobodyListens reports whether a dial failed because no program listens, or it is too busy.
func nobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN)
}

// Properties returns none: a socket is connected to a process that listens.
func (d *Dialer) Properties() transport.Properties { return transport.Properties{} }

// Close does nothing: the dialler holds nothing.
func (d *Dialer) Close() error { return nil }

func (d *Dialer) String() string { return "unix:" + d.Path }

// Listener is the viewer's transport.Link: it listens and takes one sender at a time.
type Listener struct {
	path     string
	listener *net.UnixListener
	allow    Users
	log      *slog.Logger
}

// Listen makes the socket in place of one that no program listens on. Its mode is
// 0600, or 0666 where other users are allowed: then who connects is checked, before
// anything is read. A nil log discards.
func Listen(path string, allow Users, log *slog.Logger) (*Listener, error) {
	if err := checkStale(path); err != nil {
		return nil, fmt.Errorf("open stream unix:%s: %w", path, err)
	}
	// Bound under another name first: at its own it appears with its mode set,
	// and takes the place of the stale one in one step.
	temporary := fmt.Sprintf("%s.%07x", path, rand.Uint32()>>4) // which no other user can make before
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open stream unix:%s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	mode := fs.FileMode(0o600)
	if len(allow) > 0 {
		mode = 0o666
	}
	if err := errors.Join(os.Chmod(temporary, mode), os.Rename(temporary, path)); err != nil {
		l.Close()
		os.Remove(temporary)
		return nil, fmt.Errorf("open stream unix:%s: %w", path, err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Listener{path, l, allow, log}, nil
}

// maxPath is what a socket's address holds, less its last zero and what a temporary
// name has more (unix(7)).
const maxPath = 108 - 1 - len(".0123456")

func checkPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrPathTooLong, len(path), maxPath)
	}
	return nil
}

// Errors of a socket's path; what is returned wraps them.
var (
	ErrPathTooLong = errors.New("path is too long for a socket")
	ErrNotSocket   = errors.New("exists and is not a socket")
	ErrListening   = errors.New("another program listens there")
)

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
		return ErrNotSocket
	}
	conn, err := net.Dial("unix", path)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	conn.Close()
	return ErrListening
}

// Open waits for a sender of a user who may be one.
func (l *Listener) Open(ctx context.Context) (transport.Conn, error) {
	if err := l.listener.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("accept on %v: %w", l, err)
	}
	stop := context.AfterFunc(ctx, func() { l.listener.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
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
		if err = l.allow.Check(conn); err == nil {
			return transport.NewConn(conn), nil
		}
		conn.Close()
		l.log.Warn("refused a connection", "stream", l.String(), "err", err)
	}
}

// Properties returns none: a sender has connected.
func (l *Listener) Properties() transport.Properties { return transport.Properties{} }

// Close stops listening and removes the socket.
func (l *Listener) Close() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.listener.Close())
}

func (l *Listener) String() string { return "unix:" + l.path }
