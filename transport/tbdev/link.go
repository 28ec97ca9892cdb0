package tbdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/transport"
)

// How long a device stays closed before it is opened again. It must be longer
// than the driver's close(2), and the viewer's shorter than the sender's by what the
// two closes may differ in length, 0.5 s, so that both are closed together for a
// while and the viewer opens into silence. With 1 s of closing, the sender greets
// within the 3 s that SPEC.md allows.
const (
	ViewerPause = 1200 * time.Millisecond
	SenderPause = 1800 * time.Millisecond
)

// ErrNotAllowed is returned when this user may not open the device.
var ErrNotAllowed = errors.New("this user may not open it")

const retry = 500 * time.Millisecond

// Link opens a stream device, which is this process's from the first opening to
// Close. It implements transport.Link.
type Link struct {
	// Resolve returns the path of the device; it may change between openings.
	Resolve func() (string, error)
	// Pause is ViewerPause or SenderPause.
	Pause time.Duration
	// Wait has the first opening, too, wait for a stream that is not there yet.
	Wait bool
	Log  *slog.Logger
	// OpenFile, if set, opens in place of the device that Resolve names, which then
	// is only shown.
	OpenFile func() (File, error)

	opened  bool           // before
	closing sync.WaitGroup // of the last connection
	closed  time.Time      // when that was done

	lock   *net.UnixListener // of the device, held between openings too; nil before the first
	locked string            // the device that it is of
}

// Open waits until the device can be opened and is ours alone.
func (l *Link) Open(ctx context.Context) (transport.Conn, error) {
	l.closing.Wait()
	if err := transport.Sleep(ctx, time.Until(l.closed.Add(l.Pause))); err != nil {
		return nil, err
	}
	for logged := ""; ; {
		c, err := l.openDevice()
		if err == nil {
			return c, nil
		}
		why, transient := diagnoseOpen(err)
		if !transient && !((l.opened || l.Wait) && MayChange(err)) {
			return nil, err
		}
		if why != logged {
			logged = why
			l.Log.Info("waiting for the stream", "err", why)
		}
		if err := transport.Sleep(ctx, retry); err != nil {
			return nil, err
		}
	}
}

func (l *Link) openDevice() (transport.Conn, error) {
	path, err := l.Resolve()
	if err != nil {
		return nil, err
	}
	f, err := l.openFile(path)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", path, err)
	}
	l.opened = true
	l.closing.Add(1)
	return &linkConn{conn: &conn{file: f}, link: l}, nil
}

func (l *Link) openFile(path string) (File, error) {
	if l.OpenFile != nil {
		return l.OpenFile()
	}
	if err := l.acquireLock(path); err != nil {
		return nil, err
	}
	number, err := descriptorOf(l.lock)
	if err != nil {
		return nil, err
	}
	// The kernel lets go of the highest descriptor of a killed process first, and the
	// lock must outlive the device: the next program would share its rings.
	d, err := openDevice(path, number+1)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	return d, err
}

// descriptorOf returns the number of a descriptor.
func descriptorOf(c syscall.Conn) (number int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(fd uintptr) { number = int(fd) })
	return number, err
}

// acquireLock takes the lock of the device, in place of the lock of another.
func (l *Link) acquireLock(path string) error {
	if l.lock != nil && l.locked == path {
		return nil
	}
	if err := l.releaseLock(); err != nil {
		return err
	}
	lock, err := acquireLock(path)
	if err != nil {
		return err
	}
	l.lock, l.locked = lock, path
	return nil
}

func (l *Link) releaseLock() error {
	if l.lock == nil {
		return nil
	}
	lock := l.lock
	l.lock = nil
	return lock.Close()
}

// Properties returns all of them: a device opens whether or not the peer did, and its
// driver may lose packets, repeat old ones, and lose count of them in a suspend.
func (l *Link) Properties() transport.Properties {
	return transport.Properties{Greets: true, Checksums: true, Stale: true, Stillness: true, Strangers: true}
}

// Close waits until the device is closed, and gives it up.
func (l *Link) Close() error {
	l.closing.Wait()
	return l.releaseLock()
}

func (l *Link) String() string {
	path, err := l.Resolve()
	if err != nil {
		return "tbstream"
	}
	return path
}

// linkConn closes beside its caller, who may have a camera to close too.
type linkConn struct {
	*conn
	link *Link
	once sync.Once
}

func (c *linkConn) Close() error {
	c.once.Do(func() {
		go func() {
			defer c.link.closing.Done()
			if err := c.conn.Close(); err != nil {
				c.link.Log.Warn("close the stream", "err", err)
			}
			c.link.closed = time.Now()
		}()
	})
	return nil
}

// diagnoseOpen returns what an error of open waits for, and whether waiting may help.
func diagnoseOpen(err error) (why string, transient bool) {
	switch {
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.EIO):
		return "the cable is unplugged", true
	case errors.Is(err, unix.EINVAL):
		return "the peer has not set the stream up yet", true
	case errors.Is(err, unix.ENOMEM):
		return "no DMA ring is free: remove another stream or unload thunderbolt_net", true
	}
	return err.Error(), errors.Is(err, ErrNotConnected)
}

// MayChange reports whether the stream is not there, no longer the only one, or not to be
// opened by this user. One that was there before may come back: setting it up once more
// removes it first, and so does loading the module; udev grants access a moment later.
func MayChange(err error) bool {
	return errors.Is(err, ErrNotSetUp) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrAmbiguous) || errors.Is(err, ErrNotAllowed)
}
