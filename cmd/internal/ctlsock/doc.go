// Package ctlsock lets a tbcam-view that has no stream ask the one that has it, over
// a Unix socket of the same user.
package ctlsock
