// Package local holds the tests of the programs on one machine: over Unix sockets and
// pipes, with test cameras, and the window in Xvfb. `make test-programs` runs them,
// but for those named TestRecording..., which `make test-recording` runs.
package local
