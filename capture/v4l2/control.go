package v4l2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// Controls is an opening of a camera's node for its controls. It implements
// capture.Controls. Another program, or a Source, may capture meanwhile.
type Controls struct {
	path string
	fd   int
	wake int // eventfd that ends Wait

	mu      sync.Mutex // held while Set works
	waiting sync.Mutex // held while Wait uses the descriptors
	closing sync.Once
	closed  chan struct{}
	err     error // of Close
}

var _ capture.Controls = (*Controls)(nil)

// OpenControls opens the controls of the camera at a device node.
func OpenControls(path string) (*Controls, error) {
	fd, err := openNode(path)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	c := &Controls{path: path, fd: fd, wake: wake, closed: make(chan struct{})}
	for _, control := range listControls(fd) {
		// Without events, only the changes of other programs go unseen.
		subscription := eventSubscription{typ: eventCtrl, id: control.ID}
		callDriver(fd, vidiocSubscribeEvent, unsafe.Pointer(&subscription))
	}
	return c, nil
}

// List returns the controls in the driver's order, with their values.
func (c *Controls) List() ([]capture.Control, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return nil, capture.ErrClosed
	}
	return listControls(c.fd), nil
}

// Set changes a control and returns what the driver granted.
func (c *Controls) Set(s capture.Setting) (capture.Setting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return capture.Setting{}, capture.ErrClosed
	}
	control, err := c.queryControl(s.ID)
	if err == nil {
		err = control.Check(s)
	}
	if err != nil {
		return capture.Setting{}, err
	}
	if err := writeControl(c.fd, control, s); err != nil {
		return capture.Setting{}, c.refusalError(control, s, err)
	}
	if control.WriteOnly {
		return s, nil
	}
	control, err = c.queryControl(s.ID)
	return control.Setting(), err
}

// queryControl asks for one control. With ctrlFlagNextCtrl in it, an ID of the peer's
// would be answered with another control.
func (c *Controls) queryControl(id uint32) (capture.Control, error) {
	q := queryExtCtrl{id: id}
	if err := callDriver(c.fd, vidiocQueryExtCtrl, unsafe.Pointer(&q)); err != nil && !errors.Is(err, unix.EINVAL) {
		return capture.Control{}, explainError("VIDIOC_QUERY_EXT_CTRL", c.path, err)
	} else if err != nil || q.id != id || controlTypes[q.typ] == "" || q.flags&ctrlFlagDisabled != 0 {
		return capture.Control{}, fmt.Errorf("%w: ID %#x", capture.ErrNoControl, id)
	}
	return newControl(c.fd, &q), nil
}

// refusalError explains what the driver found wrong with a setting
// (Documentation/userspace-api/media/v4l/vidioc-g-ext-ctrls.rst).
func (c *Controls) refusalError(control capture.Control, s capture.Setting, err error) error {
	switch {
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %s: the driver has it overridden by another control, or read-only", capture.ErrControlLocked, control.Key())
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: %s: not while the camera streams, or another program holds it", capture.ErrControlLocked, control.Key())
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE):
		return fmt.Errorf("%w: %s does not take %s", capture.ErrControlValue, control.Key(), control.Format(s))
	}
	return explainError("VIDIOC_S_EXT_CTRLS "+control.Key(), c.path, err)
}

// writeControl changes a control that takes the value.
func writeControl(fd int, control capture.Control, s capture.Setting) error {
	one := extControl{id: control.ID}
	var pinned runtime.Pinner // the kernel follows a pointer that the collector does not see
	defer pinned.Unpin()
	switch control.Type {
	case "string":
		text := append([]byte(s.Text), 0)
		pinned.Pin(&text[0])
		one.size = uint32(len(text))
		binary.NativeEndian.PutUint64(one.value[:], uint64(uintptr(unsafe.Pointer(&text[0]))))
	case "int64":
		binary.NativeEndian.PutUint64(one.value[:], uint64(s.Value))
	default:
		binary.NativeEndian.PutUint32(one.value[:], uint32(s.Value))
	}
	all := extControls{count: 1, controls: &one}
	return callDriver(fd, vidiocSExtCtrls, unsafe.Pointer(&all))
}

// textOf returns the value of a string control.
func textOf(fd int, q *queryExtCtrl) string {
	const longest = 1024
	if q.elemSize == 0 || q.elemSize > longest {
		return ""
	}
	buf := make([]byte, q.elemSize)
	var pinned runtime.Pinner
	defer pinned.Unpin()
	pinned.Pin(&buf[0])
	one := extControl{id: q.id, size: q.elemSize}
	binary.NativeEndian.PutUint64(one.value[:], uint64(uintptr(unsafe.Pointer(&buf[0]))))
	all := extControls{count: 1, controls: &one}
	if callDriver(fd, vidiocGExtCtrls, unsafe.Pointer(&all)) != nil {
		return ""
	}
	if end := slices.Index(buf, 0); end >= 0 {
		buf = buf[:end]
	}
	return string(buf) // spaces count
}

// Wait returns when the driver reports that another program has changed a control.
// It polls for exceptions only: a vb2 queue that does not stream answers
// everything else with an error, or by starting its read emulation.
func (c *Controls) Wait() error {
	c.waiting.Lock()
	defer c.waiting.Unlock()
	for !c.isClosed() {
		fds := [2]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLPRI}, {Fd: int32(c.wake), Events: unix.POLLIN}}
		n, err := unix.Poll(fds[:], int(pollTimeout.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return explainError("poll", c.path, err)
		case fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0: // and POLLPRI, when it was unplugged
			return explainError("poll", c.path, unix.ENODEV)
		case fds[0].Revents&unix.POLLPRI != 0:
			c.drainEvents()
			return nil
		case n == 0:
			if _, err := queryCap(c.fd); err != nil {
				return explainError("VIDIOC_QUERYCAP", c.path, err)
			}
		}
	}
	return capture.ErrClosed
}

// drainEvents takes all events: the values are read again.
func (c *Controls) drainEvents() {
	for {
		var e event
		if callDriver(c.fd, vidiocDQEvent, unsafe.Pointer(&e)) != nil || e.pending == 0 {
			return
		}
	}
}

func (c *Controls) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Close wakes Wait and waits until the descriptors are not used any more.
func (c *Controls) Close() error {
	c.closing.Do(func() {
		close(c.closed)
		one := [8]byte{1}
		unix.Write(c.wake, one[:]) // fails only when it is set already
		c.waiting.Lock()
		defer c.waiting.Unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		unix.Close(c.wake)
		if err := unix.Close(c.fd); err != nil {
			c.err = explainError("close", c.path, err)
		}
	})
	return c.err
}
