package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socketConn is a Conn over a Unix socket. Its system calls are raw ones, which the runtime
// does not prepare for: they never block. Each read and write of package net wakes up the
// runtime's watchdog, which looks some times whether the call has blocked: that was more than
// half of the switches between threads in a process that does nothing but answer heartbeats.
type socketConn struct {
	*net.UnixConn
	raw syscall.RawConn
	// What runs with the descriptor; fields, since each conversion would be allocated.
	tryRead, tryWrite func(fd uintptr) (done bool)

	// Of the goroutine that reads.
	into    []byte
	n       int
	readErr syscall.Errno

	// Of the goroutine that writes.
	left     [][]byte
	vectors  []syscall.Iovec
	writeErr syscall.Errno
}

func newSocketConn(conn *net.UnixConn, raw syscall.RawConn) *socketConn {
	c := &socketConn{UnixConn: conn, raw: raw}
	c.tryRead, c.tryWrite = c.readOnce, c.writeAll
	return c
}

// Read implements Conn.
func (c *socketConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.into = p
	err := c.raw.Read(c.tryRead) // which waits for bytes while tryRead is not done
	c.into = nil
	switch {
	case err != nil:
		return 0, renameOp(err, "read")
	case c.readErr != 0:
		return 0, c.opError("read", c.readErr)
	case c.n == 0:
		return 0, io.EOF
	}
	return c.n, nil
}

// readOnce reads, and reports whether it did not have to wait.
func (c *socketConn) readOnce(fd uintptr) (done bool) {
	for {
		n, _, err := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&c.into[0])), uintptr(len(c.into)))
		if err != syscall.EINTR {
			c.n, c.readErr = int(n), err
			return err != syscall.EAGAIN
		}
	}
}

// WriteBuffers implements Conn.
func (c *socketConn) WriteBuffers(bufs [][]byte) error {
	c.left, c.writeErr = bufs, 0
	err := c.raw.Write(c.tryWrite)
	c.left = nil
	clear(c.vectors)
	switch {
	case err != nil:
		return renameOp(err, "write")
	case c.writeErr != 0:
		return c.opError("write", c.writeErr)
	}
	return nil
}

// writeAll writes what is left, and reports whether it did not have to wait.
func (c *socketConn) writeAll(fd uintptr) (done bool) {
	for c.gatherLeft() {
		n, _, err := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&c.vectors[0])), uintptr(len(c.vectors)))
		switch err {
		case 0:
			c.dropWritten(int(n))
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.writeErr = err
			return true
		}
	}
	return true
}

// gatherLeft makes vectors of the bytes that are left, and reports whether there are any.
func (c *socketConn) gatherLeft() bool {
	c.vectors = c.vectors[:0]
	for _, b := range c.left {
		if len(b) > 0 {
			v := syscall.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			c.vectors = append(c.vectors, v)
		}
	}
	return len(c.vectors) > 0
}

// dropWritten takes bytes from the beginning of what is left.
func (c *socketConn) dropWritten(n int) {
	for n > 0 {
		k := min(n, len(c.left[0]))
		c.left[0] = c.left[0][k:]
		if n -= k; len(c.left[0]) == 0 {
			c.left = c.left[1:]
		}
	}
}

// opError returns the error of a system call as package net has it.
func (c *socketConn) opError(op string, err syscall.Errno) error {
	return &net.OpError{Op: op, Net: "unix", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// renameOp gives an error of a syscall.RawConn the name of what was done.
func renameOp(err error, op string) error {
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		e.Op = op
	}
	return err
}
