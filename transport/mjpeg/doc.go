// Package mjpeg writes and reads plain MJPEG, one JPEG file after the other
// without anything around them, for programs that know nothing of tbcam.
package mjpeg
