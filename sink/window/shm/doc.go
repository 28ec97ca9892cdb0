// Package shm joins tbcam-view and the process of its window: frames go
// through slots of shared memory, messages through a socket.
package shm
