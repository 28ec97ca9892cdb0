// Package loopback republishes pictures as a virtual camera: it chooses the
// v4l2loopback node and the format that applications see.
package loopback
