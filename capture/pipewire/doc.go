// Package pipewire reaches cameras and microphones that PipeWire has, publishes some there,
// and plays.
//
// libpipewire is loaded when it is needed first, so that a program runs without it.
// C keeps the state and never calls Go: PipeWire's threads only write an eventfd, for
// which Go's poller waits.
package pipewire
