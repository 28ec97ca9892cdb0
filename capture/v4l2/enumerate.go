package v4l2

import (
	"errors"
	"fmt"
	"reflect"
	"syscall"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// The library blackjack/webcam enumerates formats, sizes and rates, and does nothing
// else here. Source and Controls call the driver themselves, because they need what
// it does not have: time stamps, sequence numbers, error flags and byte counts of
// buffers, the format and rate that a driver really granted, planes in buffers of
// their own, a Close that wakes whoever waits, events, and menus, texts and 64 bits in
// controls. It also unmaps buffers before it stops the stream.

// enumerator asks a driver for its formats, sizes and rates, as the library does
// for single-planar devices.
type enumerator interface {
	GetSupportedFormats() map[webcam.PixelFormat]string
	GetSupportedFrameSizes(webcam.PixelFormat) []webcam.FrameSize
	GetSupportedFramerates(pixel webcam.PixelFormat, width, height uint32) []webcam.FrameRate
}

var _ enumerator = (*webcam.Webcam)(nil)

// openEnumerator opens a node that captures to list what it can do. There is one
// opening: the library's own, where it takes the device. The caller closes fd.
func openEnumerator(path string, bufType uint32) (fd int, cam enumerator, err error) {
	if bufType == bufTypeVideoCaptureMPlane {
		fd, err = openNode(path)
		return fd, multiPlanar{fd}, err
	}
	w, err := openWebcam(path)
	if err != nil {
		return -1, nil, explainError("open", path, err)
	}
	fd, err = descriptorOf(w)
	if err != nil {
		w.Close()
		return -1, nil, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, w, nil
}

// openWebcam opens a node through the library, again where a signal interrupted it.
// The library opens without O_CLOEXEC: no child may start before the flag is set.
func openWebcam(path string) (*webcam.Webcam, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for {
		w, err := webcam.Open(path)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil {
			if fd, err := descriptorOf(w); err == nil {
				unix.CloseOnExec(fd)
			}
		}
		return w, err
	}
}

// descriptorOf returns the descriptor that the library keeps to itself, for what it
// leaves out: controls, inputs, signals and continuous ranges.
func descriptorOf(w *webcam.Webcam) (int, error) {
	field := reflect.ValueOf(w).Elem().FieldByName("fd")
	if !field.IsValid() || !field.CanUint() {
		return -1, errors.New("blackjack/webcam keeps its descriptor under another name")
	}
	return int(field.Uint()), nil
}
