package tbdev

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/transport"
)

// pollTimeout bounds a wait in poll(2): a wake-up that a driver lost costs no
// more than this.
const pollTimeout = 200 * time.Millisecond

// ErrBusyPoll says that the device's busy_poll attribute is set: poll(2) then
// returns EPOLLERR and nothing else (Linux 7.3).
var ErrBusyPoll = errors.New("its busy_poll is on; write 0 to busy_poll in the stream's ConfigFS directory")

// conn is one opening of a device. It polls by itself, because Go's poller takes
// a device that reports EPOLLERR alone for one that cannot be polled.
type conn struct {
	fd, wake int

	mu     sync.RWMutex // held shared by Read and WriteBuffers, wholly to free
	closed atomic.Bool
	iovs   [][]byte // of the writer
}

func openConn(path string) (*conn, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &conn{fd: fd, wake: wake}, nil
}

// Read waits for bytes and returns those that are there.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for {
		if c.closed.Load() {
			return 0, io.ErrClosedPipe
		}
		n, err := unix.Read(c.fd, p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err != unix.EAGAIN && err != unix.EINTR:
			return 0, fmt.Errorf("read: %w", err)
		}
		if err := c.wait(unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

// WriteBuffers writes all of the buffers, with one writev where that takes all.
func (c *conn) WriteBuffers(bufs [][]byte) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.iovs = append(c.iovs[:0], bufs...)
	rest := c.iovs
	for len(rest) > 0 {
		if c.closed.Load() {
			return io.ErrClosedPipe
		}
		n, err := unix.Writev(c.fd, rest)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return fmt.Errorf("write: %w", err)
		}
		rest = consume(rest, max(n, 0))
		if err == unix.EAGAIN {
			if err := c.wait(unix.POLLOUT); err != nil {
				return err
			}
		}
	}
	return nil
}

// pad is what Pad writes.
var pad = [1]byte{}

// Pad writes n packets of one zero byte: each write(2) is a packet of its own.
func (c *conn) Pad(n int) error {
	for range n {
		if err := c.WriteBuffers([][]byte{pad[:]}); err != nil {
			return err
		}
	}
	return nil
}

// consume drops the first n bytes of the buffers, and empty ones before more.
func consume(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if len(bufs) > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// wait returns when the device may be ready, or after pollTimeout.
func (c *conn) wait(events int16) error {
	fds := [...]unix.PollFd{{Fd: int32(c.fd), Events: events}, {Fd: int32(c.wake), Events: unix.POLLIN}}
	_, err := unix.Poll(fds[:], int(pollTimeout.Milliseconds()))
	switch got := fds[0].Revents; {
	case err != nil && err != unix.EINTR:
		return fmt.Errorf("poll: %w", err)
	case got == unix.POLLERR:
		return ErrBusyPoll
	case got&unix.POLLHUP != 0 && got&events == 0:
		return fmt.Errorf("poll: the device hung up: %w", io.EOF)
	}
	return nil
}

// Close wakes Read and WriteBuffers, waits until they left, and frees the
// device: a tbstream takes 0.5 to 1 s for that.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	one := [8]byte{1}
	if _, err := unix.Write(c.wake, one[:]); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(unix.Close(c.fd), unix.Close(c.wake))
}

var _ transport.Conn = (*conn)(nil)
