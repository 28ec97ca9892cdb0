// Package doctor finds out why applications would not see the virtual camera, at
// v4l2loopback and at PipeWire, and what fixes that. It changes nothing.
package doctor
