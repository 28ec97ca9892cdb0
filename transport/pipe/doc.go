// Package pipe has the link over a FIFO, standard input or standard output. It has one
// direction, so that it carries plain MJPEG only.
package pipe
