package shm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// MaxMessage bounds a message in bytes, in both directions. Controls are the
// largest: a camera has some dozens, with menus.
const MaxMessage = 64 << 10

// Conn carries messages as JSON, one per packet: the socket keeps their
// boundaries, so a message is whole or not there, and a length is never trusted.
// Send and Receive may run at the same time, each in one goroutine.
type Conn struct {
	sock   *net.UnixConn
	packet [MaxMessage]byte
	rights []byte
}

// Pair returns tbcam-view's end and a file with the window's end, which becomes
// its descriptor 3 (exec.Cmd.ExtraFiles); the caller closes the file.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	child := os.NewFile(uintptr(fds[1]), "window")
	conn, err := newConn(os.NewFile(uintptr(fds[0]), "viewer"))
	if err != nil {
		child.Close()
		return nil, nil, err
	}
	return conn, child, nil
}

// Child returns the window's end; unlike its parent, the window takes files
// that come with messages. It closes the file it is made from.
func Child(file *os.File) (*Conn, error) {
	conn, err := newConn(file)
	if err != nil {
		return nil, err
	}
	conn.rights = make([]byte, unix.CmsgSpace(4))
	return conn, nil
}

func newConn(file *os.File) (*Conn, error) {
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	sock, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is not a Unix socket", file.Name())
	}
	return &Conn{sock: sock}, nil
}

// Send sends a message, and a file with it unless that is nil; the caller still
// owns the file. It waits while the other process does not read.
func (c *Conn) Send(message any, file *os.File) error {
	packet, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(packet) > MaxMessage {
		return fmt.Errorf("message of %d bytes is too long", len(packet))
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	_, _, err = c.sock.WriteMsgUnix(packet, rights, nil)
	return err
}

// Receive waits for a message and returns the file that came with it, if any,
// to be closed by the caller. The error wraps io.EOF when the other process is gone.
func (c *Conn) Receive(message any) (*os.File, error) {
	n, nr, flags, _, err := c.sock.ReadMsgUnix(c.packet[:], c.rights)
	if errors.Is(err, unix.ECONNRESET) {
		// The other process left messages unread. Linux returns this once, even before
		// the messages that it sent.
		n, nr, flags, _, err = c.sock.ReadMsgUnix(c.packet[:], c.rights)
	}
	if err != nil {
		return nil, err
	}
	file, err := fileIn(c.rights[:nr])
	if err == nil && flags&unix.MSG_TRUNC != 0 {
		err = fmt.Errorf("message is longer than %d bytes", MaxMessage)
	}
	if err == nil {
		err = json.Unmarshal(c.packet[:n], message)
	}
	if err != nil && file != nil {
		file.Close()
		file = nil
	}
	return file, err
}

// fileIn returns the file in a control message, if there is one.
func fileIn(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "frames"), nil
}

// Close ends the connection and wakes Send and Receive. It may be called twice.
func (c *Conn) Close() error {
	err := c.sock.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
