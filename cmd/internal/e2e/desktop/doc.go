// Package desktop holds the tests of the programs in a desktop session of their own,
// with PipeWire, WirePlumber and the camera portal: what browsers see, and what doctor
// finds. They need no kernel module, no hardware and no display. `make test-pipewire`
// runs them.
package desktop
