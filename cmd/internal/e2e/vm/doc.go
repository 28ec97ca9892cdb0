// Package vm holds the tests of the programs with real kernel drivers: vivid and a
// USB webcam as cameras, v4l2loopback and the applications that read it. They have
// the build tag vm; fixtures/vm/gotest runs them in a virtual machine, those named
// TestCalls... for `make test-calls` and the others for `make test-vm`.
package vm
