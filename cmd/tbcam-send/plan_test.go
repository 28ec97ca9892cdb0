package main

import (
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func TestTooMuch(t *testing.T) {
	for _, c := range []struct {
		pixel         capture.PixelFormat
		width, height int
		fps           uint32
		message       string // "": it is not
	}{
		{capture.NV12, 1920, 1080, 60, ""},
		{capture.YUYV, 3840, 2160, 30, ""},
		{capture.NV12, 3840, 2160, 60, "nv12 3840x2160 at 60 fps is 746 MB/s"},
		{capture.YUYV, 3840, 2160, 60, "yuyv 3840x2160 at 60 fps is 995 MB/s"},
		{capture.MJPEG, 3840, 2160, 60, ""}, // its size is not known
	} {
		format := capture.Format{Pixel: c.pixel, Width: c.width, Height: c.height}
		got := explainLoad(format, capture.Rate{Num: c.fps, Den: 1})
		if (got == "") != (c.message == "") || !strings.Contains(got, c.message) {
			t.Errorf("%v at %d: %q, want %q", format, c.fps, got, c.message)
		}
	}
}
