package main

import (
	"testing"

	"github.com/tbcam/tbcam/transport"
)

// TestFarCamera: applications learn which camera a virtual one stands for with the
// connection, and then which one it is.
func TestFarCamera(t *testing.T) {
	r, _, _ := newTestRun(t, options{})
	b := r.bridge
	want := func(when, name string) {
		t.Helper()
		if camera, host := b.farCamera(); camera != name || host != "laptop" {
			t.Errorf("%s it is %q on %q, want %q", when, camera, host, name)
		}
	}
	b.Connected(transport.Peer{Host: "laptop"})
	want("at first", "")
	b.ControlsChanged(transport.Controls{Camera: "Integrated camera"})
	want("with its controls", "Integrated camera")
	b.want.Camera = "usb"
	want("where another is asked for", "usb")
	b.Mode(transport.Mode{Camera: "USB camera"})
	want("when it is on", "USB camera")
	b.ControlsChanged(transport.Controls{})
	want("when it is off", "USB camera")
}
