package v4l2

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LoopbackControl is the device that makes v4l2loopback nodes, since 0.13.
const LoopbackControl = "/dev/v4l2loopback"

// loopbackConfig is struct v4l2_loopback_config of v4l2loopback.h. Zero limits
// are the driver's defaults.
type loopbackConfig struct {
	outputNr        int32 // negative: any
	captureNr       int32
	cardLabel       [32]byte
	_               [7]int32 // sizes, buffers, openers, debug level
	announceAllCaps int32    // 0 is exclusive_caps=1
}

var _ [72]byte = [unsafe.Sizeof(loopbackConfig{})]byte{}

// V4L2LOOPBACK_CTL_ADD as it is now and as it was before 0.15.
var loopbackAdd = []uintptr{write<<30 | unsafe.Sizeof(loopbackConfig{})<<16 | '~'<<8 | 1, 0x4c80}

// CreateLoopback makes a node that applications see as a camera, and returns its
// path; it stays until the module is removed. The error wraps fs.ErrNotExist where
// the driver is not loaded or has no control device, and fs.ErrPermission where
// this user may not.
func CreateLoopback(label string) (string, error) {
	fd, err := unix.Open(LoopbackControl, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", LoopbackControl, err)
	}
	defer unix.Close(fd)
	config := loopbackConfig{outputNr: -1, captureNr: -1}
	copy(config.cardLabel[:len(config.cardLabel)-1], label)
	for _, request := range loopbackAdd {
		number, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&config)))
		switch {
		case errno == 0:
			return fmt.Sprintf("/dev/video%d", number), nil
		case !errors.Is(errno, unix.ENOSYS) && !errors.Is(errno, unix.ENOTTY):
			return "", fmt.Errorf("V4L2LOOPBACK_CTL_ADD %s: %w", LoopbackControl, errno)
		}
	}
	return "", fmt.Errorf("V4L2LOOPBACK_CTL_ADD %s: %w", LoopbackControl, errors.ErrUnsupported)
}
