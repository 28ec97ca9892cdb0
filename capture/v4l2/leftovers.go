package v4l2

import (
	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// Controls of v4l2loopback, of V4L2LOOPBACK_CID_BASE in v4l2loopback.c.
const (
	cidKeepFormat = 0x0098f900 + iota
	cidSustainFramerate
	cidTimeout
	cidTimeoutImageIO
)

// resetControl sets a control of the node to 0.
func resetControl(fd int, id uint32) error {
	return writeControl(fd, capture.Control{ID: id}, capture.Setting{})
}

// ownFrames has readers see nothing but what is written: not the module's own
// frame after a time, nor the last one again with the same time stamp. Other
// programs leave these turned on.
func ownFrames(fd int) {
	_ = resetControl(fd, cidSustainFramerate)
	_ = resetControl(fd, cidTimeout)
}

// keepsFormat reports whether the node keeps its format when its writer leaves.
func keepsFormat(fd int) bool {
	return currentValue(fd, &queryExtCtrl{id: cidKeepFormat}) != 0
}

// forgetFormat makes a node forget the format that another program had it keep.
// The driver forgets when the last of its files is closed. It reports whether
// there is a point in opening the node again.
func forgetFormat(path string) bool {
	fd, err := openNode(path)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return keepsFormat(fd) && resetControl(fd, cidKeepFormat) == nil
}
