package tbdev

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// File is a stream device that was opened with O_NONBLOCK. Read, Writev and Close
// are as the system calls, with their errors.
type File interface {
	Read(p []byte) (int, error)
	Writev(bufs [][]byte) (int, error)
	// Poll waits for one of the events of poll(2), POLLERR or POLLHUP, for timeout
	// at most, and returns those that hold.
	Poll(events int16, timeout time.Duration) (revents int16, err error)
	// Wake makes every Poll return at once, now and later.
	Wake() error
	// Close must not be called while another call is under way.
	Close() error
}

// descriptor is a File of the kernel's.
type descriptor struct {
	fd, wake int
}

// openDevice opens a device, whose descriptor gets a number of at least lowest.
func openDevice(path string, lowest int) (*descriptor, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err == nil && fd < lowest {
		fd, err = raiseDescriptor(fd, lowest)
	}
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &descriptor{fd, wake}, nil
}

// raiseDescriptor moves a descriptor to a number of at least lowest.
func raiseDescriptor(fd, lowest int) (int, error) {
	raised, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, lowest)
	return raised, errors.Join(err, unix.Close(fd))
}

func (d *descriptor) Read(p []byte) (int, error) { return unix.Read(d.fd, p) }

func (d *descriptor) Writev(bufs [][]byte) (int, error) { return unix.Writev(d.fd, bufs) }

func (d *descriptor) Poll(events int16, timeout time.Duration) (revents int16, err error) {
	fds := [...]unix.PollFd{{Fd: int32(d.fd), Events: events}, {Fd: int32(d.wake), Events: unix.POLLIN}}
	_, err = unix.Poll(fds[:], int(timeout.Milliseconds()))
	return fds[0].Revents, err
}

func (d *descriptor) Wake() error {
	one := [8]byte{1}
	if _, err := unix.Write(d.wake, one[:]); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	return nil
}

func (d *descriptor) Close() error { return errors.Join(unix.Close(d.fd), unix.Close(d.wake)) }
