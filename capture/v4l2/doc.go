// Package v4l2 is every VIDIOC_* of tbcam: it finds cameras, captures from them
// and writes to v4l2loopback nodes.
package v4l2
