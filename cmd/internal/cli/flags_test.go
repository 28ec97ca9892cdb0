package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// A camera's product string and its controls are whatever its maker wrote.
func TestPrintCamerasIsPrintable(t *testing.T) {
	cameras := []capture.Device{{
		Path: "/dev/video0", Name: "Cam\x1b]0;title\x07\u009b31m\u202e", Driver: "uvcvideo\x1b[2J", Bus: "usb-\r1",
		Modes:    []capture.Mode{{Pixel: capture.YUYV, Width: 640, Height: 480}},
		Inputs:   []capture.Input{{Name: "HDMI\x1b[1m", Problem: "no\nsignal", Standards: []string{"pal\r"}}},
		Controls: []capture.Control{{Name: "Bright\nness\x1b[1m"}},
	}, {Kind: capture.Audio, Path: "desk", Name: "Desk\x1b[1m", Driver: "pipewire", Bus: "desk"}}
	for _, asJSON := range []bool{false, true} {
		var b strings.Builder
		if err := PrintCameras(&b, cameras, asJSON); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimSuffix(line, "\n"); capture.Printable(line) != line {
				t.Errorf("JSON %v: %q is not printable", asJSON, line)
			}
		}
		var read []capture.Device
		if err := json.Unmarshal([]byte(b.String()), &read); asJSON && (err != nil || !strings.HasPrefix(read[0].Name, "Cam")) {
			t.Errorf("%v: %q", err, b.String())
		}
		for _, want := range []string{"640x480", "  input 0 HDMI", "(microphone, driver pipewire, bus desk)"} {
			if !asJSON && !strings.Contains(b.String(), want) {
				t.Errorf("no %q in %q", want, b.String())
			}
		}
	}
}
