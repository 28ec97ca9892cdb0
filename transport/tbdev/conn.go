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

// ErrBusyPoll is returned when the device's busy_poll attribute is set: poll(2) then
// returns EPOLLERR and nothing else (Linux 7.3).
var ErrBusyPoll = errors.New("its busy_poll is on; write 0 to busy_poll in the stream's ConfigFS directory")

// conn is a transport.Conn over a File. It polls by itself, because Go's poller
// takes a device that reports EPOLLERR alone for one that cannot be polled.
type conn struct {
	file   File
	using  sync.RWMutex // held shared by Read and WriteBuffers
	closed atomic.Bool
	iovs   [][]byte // of the writer
}

// Read waits for bytes and returns those that are there.
func (c *conn) Read(p []byte) (int, error) {
	c.using.RLock()
	defer c.using.RUnlock()
	for {
		if c.closed.Load() {
			return 0, io.ErrClosedPipe
		}
		n, err := c.file.Read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err != unix.EAGAIN && err != unix.EINTR:
			return 0, fmt.Errorf("read: %w", err)
		}
		if err := c.waitReady(unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

// WriteBuffers writes all of the buffers, with one writev where that takes all.
func (c *conn) WriteBuffers(bufs [][]byte) error {
	c.using.RLock()
	defer c.using.RUnlock()
	c.iovs = append(c.iovs[:0], bufs...)
	rest := consumeBuffers(c.iovs, 0)
	for len(rest) > 0 {
		if c.closed.Load() {
			return io.ErrClosedPipe
		}
		n, err := c.file.Writev(rest)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return fmt.Errorf("write: %w", err)
		}
		rest = consumeBuffers(rest, max(n, 0))
		if err == unix.EAGAIN {
			if err := c.waitReady(unix.POLLOUT); err != nil {
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

// consumeBuffers drops the first n bytes of the buffers, and empty ones before more.
func consumeBuffers(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if len(bufs) > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// waitReady returns when the device may be ready, or after pollTimeout.
func (c *conn) waitReady(events int16) error {
	got, err := c.file.Poll(events, pollTimeout)
	switch {
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
// device: a tbstream takes 0.5 to 1 s for that. Calls that come later do not wait
// so long.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	err := c.file.Wake()
	c.awaitUsers()
	return errors.Join(err, c.file.Close())
}

func (c *conn) awaitUsers() {
	c.using.Lock()
	defer c.using.Unlock()
}

var _ transport.Conn = (*conn)(nil)
