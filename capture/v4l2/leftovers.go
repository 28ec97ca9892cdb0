package v4l2

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Controls of v4l2loopback, of V4L2LOOPBACK_CID_BASE in v4l2loopback.c.
const (
	cidKeepFormat = 0x0098f900 + iota
	cidSustainFramerate
	cidTimeout
	cidTimeoutImageIO
)

var vidiocSetExtCtrls = vidioc(read|write, 72, unsafe.Sizeof(extControls{}))

// reset sets a control of the node to 0.
func reset(fd int, id uint32) error {
	one := extControl{id: id}
	all := extControls{count: 1, controls: &one}
	return ioctl(fd, vidiocSetExtCtrls, unsafe.Pointer(&all))
}

// ownPictures has readers see nothing but what is written: not the module's own
// picture after a time, nor the last one again with the same time stamp. Other
// programs leave these turned on.
func ownPictures(fd int) {
	_ = reset(fd, cidSustainFramerate)
	_ = reset(fd, cidTimeout)
}

// keepsFormat reports whether the node keeps its format when its writer leaves.
func keepsFormat(fd int) bool {
	one := extControl{id: cidKeepFormat}
	all := extControls{count: 1, controls: &one}
	return ioctl(fd, vidiocGExtCtrls, unsafe.Pointer(&all)) == nil && binary.NativeEndian.Uint32(one.value[:]) != 0
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
	return keepsFormat(fd) && reset(fd, cidKeepFormat) == nil
}
