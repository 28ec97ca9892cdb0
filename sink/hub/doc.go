// Package hub shares one line to a sender among the viewers of a host. The process that
// owns the line receives each camera, and the microphone, once, for itself and for all who attach to it over a
// local socket, on which it speaks SPEC.md as a sender and forwards frames as received.
//
// A Line is the way to the sender: over the line itself, or over the hub of the process
// that owns it. A Hub is what a process makes of it: subscriptions to far cameras.
package hub
