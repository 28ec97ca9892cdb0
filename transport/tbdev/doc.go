// Package tbdev opens, polls, reads and writes a stream device: /dev/tbstreamN
// of USB4STREAM (drivers/thunderbolt/stream.c), or any other full-duplex
// character device. It also finds the device of a stream's name in ConfigFS.
package tbdev
