package v4l2

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// Errors of OpenOutput and Write, which what they return wraps.
var (
	// ErrNoLoopback: there is no node at the path.
	ErrNoLoopback = errors.New("no such v4l2loopback node")
	// ErrNotLoopback: the node is something else, perhaps a real camera.
	ErrNotLoopback = errors.New("not a v4l2loopback node")
	// ErrInUse: another program writes to the node.
	ErrInUse = errors.New("another program writes to it")
	// ErrFormat: the node does not take the format, or keeps another one.
	ErrFormat = errors.New("node does not take the format")
)

// Output writes frames to a v4l2loopback node.
//
// It uses write(2), one frame a call: the driver then stamps each frame with
// CLOCK_MONOTONIC and numbers it. With a queue 0.12.7 does not number, and 0.15
// takes stamps but no longer calls them monotonic; both ways copy once.
type Output struct {
	path   string
	format capture.Format

	usage *usage // nil before Users

	mu     sync.Mutex
	fd     int
	closed bool
}

// findLoopback looks at the node that path leads to.
func findLoopback(path string) (node, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return node{}, fmt.Errorf("%w: %w", ErrNoLoopback, err)
	}
	n := inspectNode(target)
	if n.err == nil && !n.isLoopback() {
		n.err = fmt.Errorf("open %s: %w: it is %s, driver %s", target, ErrNotLoopback, n.name(), n.driver())
	}
	return n, n.err
}

// OpenOutput makes the node at path a camera of that format and rate; a rate of zero
// leaves the node's. With exclusive_caps=1 it is a camera from the first Write on, if
// not before. A format that another program had the node keep, and that no program
// uses, is replaced. The error wraps ErrNoLoopback, ErrNotLoopback, ErrInUse or
// ErrFormat where that is the reason, as a FormatError where the node has another.
func OpenOutput(path string, format capture.Format, rate capture.Rate) (*Output, error) {
	n, err := findLoopback(path)
	if err != nil {
		return nil, err
	}
	if n.cap.nodeCaps()&(capVideoCapture|capVideoOutput) == 0 {
		if n, err = reviveOutput(n); err != nil {
			return nil, err
		}
	}
	o, err := tryOutput(n, format, rate)
	if errors.Is(err, ErrFormat) && forgetFormat(n.path) {
		o, err = tryOutput(n, format, rate)
	}
	return o, err
}

// reviveOutput makes a node an output again. Before 0.14 it is nothing once a writer that
// used write(2) only, as FFmpeg does, has closed. One that streamed leaves it as it
// was, and asking to stream is enough, if only to be refused.
func reviveOutput(n node) (node, error) {
	fd, err := openNode(n.path)
	if err != nil {
		return n, err
	}
	streamOutput(fd)
	unix.Close(fd)
	n = inspectNode(n.path)
	return n, n.err
}

func streamOutput(fd int) {
	bufType := uint32(bufTypeVideoOutput)
	_ = callDriver(fd, vidiocStreamOn, unsafe.Pointer(&bufType))
}

func tryOutput(n node, format capture.Format, rate capture.Rate) (*Output, error) {
	fd, err := openNode(n.path)
	if err != nil {
		return nil, err
	}
	o := &Output{path: n.path, format: format, fd: fd}
	if err := o.claimNode(n.cap.nodeCaps()&capVideoOutput != 0, rate); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return o, nil
}

// claimNode claims the node. free means that it announces itself as an output.
func (o *Output) claimNode(free bool, rate capture.Rate) error {
	// Before 0.14 the driver takes any number of writers: the lock keeps at least
	// those of tbcam apart.
	if err := unix.Flock(o.fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return o.inUse("lock")
	}
	if !free && !writersExclude(o.fd) && len(findHolders("/proc", o.path)) > 0 {
		return o.inUse("open")
	}
	if err := o.setFormat(free); err != nil {
		return err
	}
	setRate(o.fd, bufTypeVideoOutput, rate)
	ownFrames(o.fd)
	// See reviveOutput. Since 0.14 the first write does what is needed, and this fails
	// without harm.
	streamOutput(o.fd)
	return nil
}

// setFormat fails unless the node takes exactly the format.
func (o *Output) setFormat(free bool) error {
	want := pixOf(o.format)
	got, err := o.setPix(want)
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EINVAL) && !free:
		return o.inUse("VIDIOC_S_FMT")
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("VIDIOC_S_FMT %s: %w: %v", o.path, ErrFormat, o.format)
	case err != nil:
		return explainError("VIDIOC_S_FMT", o.path, err)
	}
	have := formatOf(got)
	if have.Pixel != o.format.Pixel || have.Width != o.format.Width || have.Height != o.format.Height {
		return &FormatError{Path: o.path, Asked: o.format, Keeps: have, holder: heldBy(o.path)}
	}
	if size := o.format.Size(); size != 0 && (size > int(got.sizeImage) || got.bytesPerLine != want.bytesPerLine) {
		return fmt.Errorf("VIDIOC_S_FMT %s: %w: %v: choose an even width and height", o.path, ErrFormat, o.format)
	}
	return nil
}

// setPix sets the driver's format. From 0.14 on the driver accepts a new
// colour, but takes it over only where the size or pixel format changes, too.
func (o *Output) setPix(want pixFormat) (pixFormat, error) {
	got, err := setFmt(o.fd, bufTypeVideoOutput, want)
	if err != nil {
		return got, err
	}
	kept, err := getFmt(o.fd, bufTypeVideoOutput)
	if err != nil || formatOf(kept) == o.format {
		return got, nil
	}
	// Another height makes the driver take over all of the next format.
	other := want
	other.height *= 2
	if _, err := setFmt(o.fd, bufTypeVideoOutput, other); err != nil {
		return got, err
	}
	return setFmt(o.fd, bufTypeVideoOutput, want)
}

func (o *Output) inUse(op string) error {
	return fmt.Errorf("%s %s: %w%s", op, o.path, ErrInUse, heldBy(o.path))
}

// writersExclude reports whether the driver refuses a second writer by itself,
// which it does since 0.14. That is when this control became a button.
func writersExclude(fd int) bool {
	q := queryExtCtrl{id: cidTimeoutImageIO}
	return callDriver(fd, vidiocQueryExtCtrl, unsafe.Pointer(&q)) == nil && q.typ == ctrlTypeButton
}

// Format returns the format of the frames that Write takes.
func (o *Output) Format() capture.Format { return o.format }

// Write shows the frame to the readers of the node. It does not wait for them,
// and does not keep the frame, which stays the caller's.
func (o *Output) Write(f *capture.Frame) error {
	if f.Format != o.format {
		return fmt.Errorf("write %s: %w: %v was opened, the frame is %v", o.path, ErrFormat, o.format, f.Format)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return fmt.Errorf("write %s: %w", o.path, capture.ErrClosed)
	}
	n, err := writeAll(o.fd, f.Data)
	switch {
	case errors.Is(err, unix.EBUSY):
		return o.inUse("write")
	case err != nil:
		return explainError("write", o.path, err)
	case n < len(f.Data):
		return fmt.Errorf("write %s: %w: a frame of %d bytes, room for %d", o.path, ErrFormat, len(f.Data), n)
	}
	return nil
}

// writeAll makes one call for a whole frame, again where a signal interrupted it.
func writeAll(fd int, data []byte) (int, error) {
	for {
		n, err := unix.Write(fd, data)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Close gives the node up. It may be called from any goroutine, and twice.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	if o.usage != nil {
		o.usage.stopWatch()
	}
	if err := unix.Close(o.fd); err != nil {
		return explainError("close", o.path, err)
	}
	return nil
}
