// Package mjpeg writes plain MJPEG, one JPEG file after the other without anything
// around them, for programs that know nothing of tbcam. jfif.Splitter reads it.
package mjpeg
