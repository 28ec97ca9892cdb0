package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// retry is how long after the owner of a line is gone, or not there yet, it is tried
// again.
const retry = 50 * time.Millisecond

// patience is after how many tries it is logged that the line is waited for.
const patience = 20

// ErrNobody is returned when no process owns the line.
var ErrNobody = errors.New("no viewer runs on this stream")

// Line is the transport.Link of a viewer that shares the line with those of the same user
// on this host. The first one owns it and has others attach to its hub; when that ends,
// one of them takes the line.
type Line struct {
	// Names returns the names of the line, at least one: which there are may change with
	// what is plugged in. Two lines that have one in common are the same.
	Names func() []string
	// Dial opens the line itself.
	Dial func() (transport.Link, error)
	// Pause is how long after another process the line may be opened.
	Pause time.Duration
	// AttachOnly: the line is never owned.
	AttachOnly bool
	Log        *slog.Logger

	hub      *Hub
	own      transport.Link // nil: it is not owned
	server   *server        // likewise
	places   []place
	attached atomic.Bool // to the hub of another process
	unshared sync.Once   // of warning
	warning  error       // why nobody can attach, until it was logged
}

// place is an address that the owner of a line has taken.
type place struct {
	address
	lock *os.File
}

// Share sets the hub that others attach to while this process owns the line. It is set
// before anything is opened.
func (l *Line) Share(h *Hub) { l.hub = h }

// Claim takes the line if nobody owns it, so that what is wrong with it is known from
// the start.
func (l *Line) Claim() error {
	err := l.take()
	if errors.Is(err, errOwned) {
		return nil
	}
	return err
}

// Attached reports whether the viewer is attached to the hub of another process.
func (l *Line) Attached() bool { return l.attached.Load() }

// Open implements transport.Link.
func (l *Line) Open(ctx context.Context) (transport.Conn, error) {
	for tries := 0; ; tries++ {
		if err := l.take(); err != nil && !errors.Is(err, errOwned) {
			return nil, err
		}
		if l.own != nil {
			l.logUnshared()
			return l.openOwn(ctx)
		}
		conn, err := l.attach(ctx)
		if err == nil || ctx.Err() != nil || !isNobody(err) {
			return conn, err
		}
		if l.AttachOnly {
			return nil, ErrNobody
		}
		if tries == patience {
			l.Log.Info("another viewer has the stream and shares it with nobody; waiting for its end")
		}
		if err := transport.Sleep(ctx, retry); err != nil {
			return nil, err
		}
	}
}

// openOwn opens the line itself. One that another process of this host had must rest
// first, as after any session.
func (l *Line) openOwn(ctx context.Context) (transport.Conn, error) {
	if l.attached.Swap(false) {
		l.Log.Info("the viewer that had the stream has ended; taking it over")
		if err := transport.Sleep(ctx, l.Pause); err != nil {
			return nil, err
		}
	}
	conn, err := l.own.Open(ctx)
	if err == nil {
		l.extend()
	}
	return conn, err
}

// take takes the line, unless it is owned already.
func (l *Line) take() error {
	if l.own != nil {
		return nil
	}
	if l.AttachOnly {
		return errOwned
	}
	if err := l.takePlaces(); err != nil {
		l.freePlaces()
		return err
	}
	own, err := l.Dial()
	if err != nil {
		l.freePlaces()
		return err
	}
	l.own = own
	if l.hub != nil {
		l.server = newServer(l.hub)
		for _, p := range l.places {
			l.listen(p)
		}
	}
	return nil
}

// takePlaces locks every name of the line.
func (l *Line) takePlaces() error {
	for _, name := range l.Names() {
		if _, err := l.takePlace(name); err != nil {
			return err
		}
	}
	return nil
}

// takePlace locks one name, if it is not locked by this line.
func (l *Line) takePlace(name string) (fresh bool, err error) {
	a, err := addressOf(name)
	if err != nil {
		l.noteUnshared(err)
		return false, nil
	}
	if slices.ContainsFunc(l.places, func(p place) bool { return p.address == a }) {
		return false, nil
	}
	lock, err := a.acquire()
	if err == nil {
		l.places = append(l.places, place{a, lock})
	}
	return err == nil, err
}

// extend takes names that the line has got since, for instance of a device that was
// plugged in.
func (l *Line) extend() {
	if l.server == nil {
		return
	}
	for _, name := range l.Names() {
		fresh, err := l.takePlace(name)
		if err != nil {
			l.Log.Debug("share the stream by another name", "name", name, "err", err)
		}
		if fresh {
			l.listen(l.places[len(l.places)-1])
		}
	}
}

func (l *Line) listen(p place) {
	if err := l.server.listen(p.socket); err != nil {
		l.noteUnshared(err)
	}
}

// noteUnshared notes the first reason why nobody can attach. It costs this viewer
// nothing, so it is logged only when the line is used: a program that ends before that,
// for want of an output, reports only what it ends for.
func (l *Line) noteUnshared(err error) {
	l.unshared.Do(func() { l.warning = err })
}

// logUnshared logs that reason, once.
func (l *Line) logUnshared() {
	if l.warning != nil {
		l.Log.Warn("share the stream: other viewers of this host cannot attach", "err", l.warning)
		l.warning = nil
	}
}

func (l *Line) freePlaces() {
	for _, p := range l.places {
		p.lock.Close()
	}
	l.places = nil
}

// attach connects to the hub of the line's owner.
func (l *Line) attach(ctx context.Context) (transport.Conn, error) {
	err := error(ErrNobody)
	for _, name := range l.Names() {
		a, failed := addressOf(name)
		if failed != nil {
			return nil, failed
		}
		var conn net.Conn
		var dialer net.Dialer
		if conn, err = dialer.DialContext(ctx, "unix", a.socket); err != nil {
			continue
		}
		// Only this user can make a socket there; whoever did must be one to be trusted.
		if err = unixsock.Users(nil).Check(conn); err != nil {
			conn.Close()
			return nil, err
		}
		l.attached.Store(true)
		return transport.NewConn(conn), nil
	}
	if isNobody(err) {
		return nil, err
	}
	return nil, fmt.Errorf("attach to the viewer that has the stream: %w", err)
}

// isNobody reports whether nobody listens, or is too busy.
func isNobody(err error) bool {
	return errors.Is(err, ErrNobody) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN)
}

// Properties returns those of the way that was opened last. A hub greets only when there
// is a sender behind it.
func (l *Line) Properties() transport.Properties {
	if l.own != nil {
		return l.own.Properties()
	}
	return transport.Properties{Greets: true}
}

// Close gives the line up: to one that is attached.
func (l *Line) Close() (err error) {
	if l.server != nil {
		l.server.close()
		l.server = nil
	}
	if l.own != nil {
		err = l.own.Close()
		l.own = nil
	}
	l.freePlaces()
	return err
}

func (l *Line) String() string {
	if l.own != nil {
		return l.own.String()
	}
	return l.Names()[0]
}
