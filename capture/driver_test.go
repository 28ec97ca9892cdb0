package capture_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// laptop has two sensors of one name, and two cameras of another.
var laptop = []capture.Device{
	{Path: "/dev/video0", Name: "Integrated Camera"},
	{Path: "/dev/video2", Name: "Integrated Camera", Infrared: true},
	{Path: "/dev/video4", Name: "Twin"},
	{Path: "/dev/video6", Name: "Twin"},
	{Path: "/dev/video8", Name: "Twin Two"},
	{Path: "pattern", Name: "Test pattern", Test: true},
}

func TestFindDevice(t *testing.T) {
	for name, want := range map[string]string{
		"/dev/video2": "/dev/video2",
		"pattern":     "pattern",
		"INTEGRATED":  "/dev/video0",
		"twin two":    "/dev/video8",
		"pat":         "pattern",
		"twin":        `several have that name: "twin" may be /dev/video4 (Twin), /dev/video6 (Twin)`,
		"/dev/null":   `no such camera: "/dev/null"`,
	} {
		got, err := capture.FindDevice(laptop, name)
		if text := fmt.Sprint(got.Path, err); !strings.Contains(text, want) || (err != nil) != errors.Is(err, capture.ErrNoCamera) {
			t.Errorf("%s: %s, %v; want %q", name, got.Path, err, want)
		}
	}
}

// After an unplug: the camera on the old bus, else the only one of its name.
func TestFindAgain(t *testing.T) {
	at := func(path, bus string, pixel capture.PixelFormat) capture.Device {
		return capture.Device{Path: path, Name: "Twin", Bus: bus, Modes: []capture.Mode{{Pixel: pixel}}}
	}
	gone := at("/dev/video0", "usb-1", capture.YUYV)
	for _, c := range []struct {
		what  string
		named []capture.Device
		want  string // path, or text of the error
	}{
		{"none", nil, "no such camera: Twin on usb-1"},
		{"the same port", []capture.Device{at("/dev/video5", "usb-2", capture.YUYV), at("/dev/video4", "usb-1", capture.YUYV)}, "/dev/video4"},
		{"another port", []capture.Device{at("/dev/video4", "usb-2", capture.YUYV)}, "/dev/video4"},
		{"its second sensor, too", []capture.Device{at("/dev/video4", "usb-2", capture.GREY), at("/dev/video6", "usb-2", capture.YUYV)}, "/dev/video6"},
		{"two", []capture.Device{at("/dev/video4", "usb-2", capture.YUYV), at("/dev/video5", "usb-3", capture.YUYV)},
			"several have that name: Twin, which is not on usb-1 any more, may be /dev/video4 (Twin), /dev/video5 (Twin)"},
	} {
		got, err := capture.FindAgain(gone, c.named)
		if text := fmt.Sprint(got.Path, err); !strings.Contains(text, c.want) || (err != nil) != errors.Is(err, capture.ErrNoCamera) {
			t.Errorf("%s: %s, %v; want %q", c.what, got.Path, err, c.want)
		}
	}
}
