// Package e2e is the map of the tests of the programs as users run them. It holds no
// code; each rung is a package of its own, because each needs another machine:
//
//	package        needs                               run by
//	e2e/local      this machine, Xvfb, FFmpeg          make test-programs
//	  TestRecording...                                 make test-recording
//	e2e/desktop    PipeWire, the portal, browsers      make test-pipewire
//	e2e/power      QEMU, killed in the middle          make test-recording
//	e2e/vm         a guest with real camera drivers    make test-vm
//	  TestCalls...                                     make test-calls
//	e2e/cable      a guest with the tbstream driver    make test-cable
//	e2e/harness    what they share; no tests
//
// A test belongs to the first rung that can show what it claims. Those that need no
// program at all belong beside the package that they test.
package e2e
