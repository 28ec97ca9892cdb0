package virtualcam

import (
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func format(pixel capture.PixelFormat, width, height int) capture.Format {
	f := capture.Format{Pixel: pixel, Width: width, Height: height}
	if pixel == capture.MJPEG {
		f.Range = capture.Full
	}
	return f
}

func TestChoiceOfFormat(t *testing.T) {
	for _, tt := range []struct {
		name               string
		asked, former, cam capture.Format
		want               capture.Format
	}{
		{"nothing is known", capture.Format{}, capture.Format{}, capture.Format{}, format(capture.YUYV, 1280, 720)},
		{"the camera's size", capture.Format{}, capture.Format{}, format(0, 640, 480), format(capture.YUYV, 640, 480)},
		{"what the node has", capture.Format{}, format(capture.YUV420, 320, 240), format(0, 640, 480), format(capture.YUV420, 320, 240)},
		{"what was asked for", format(capture.MJPEG, 160, 120), format(capture.YUV420, 320, 240), format(0, 640, 480), format(capture.MJPEG, 160, 120)},
		{"only a size was asked for", format(0, 160, 120), format(capture.YUV420, 320, 240), capture.Format{}, format(capture.YUV420, 160, 120)},
		{"only a format was asked for", format(capture.MJPEG, 0, 0), format(capture.YUV420, 320, 240), capture.Format{}, format(capture.MJPEG, 320, 240)},
		{"the node has a strange format", capture.Format{}, format(capture.RGB24, 320, 240), capture.Format{}, format(capture.YUYV, 1280, 720)},
		{"the node has an odd size", capture.Format{}, format(capture.YUYV, 321, 240), capture.Format{}, format(capture.YUYV, 1280, 720)},
		{"an odd size", format(0, 321, 241), capture.Format{}, capture.Format{}, format(capture.YUYV, 320, 240)},
		{"a tiny size", format(0, 1, 1), capture.Format{}, capture.Format{}, format(capture.YUYV, 2, 2)},
	} {
		o := Options{Format: tt.asked, Want: tt.cam}
		if got := o.chooseFormat(tt.former); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// rawOnly is a driver whose nodes have raw formats only, another one by default.
type rawOnly struct{ noDriver }

func (rawOnly) Formats() []capture.PixelFormat {
	return []capture.PixelFormat{capture.YUV420, capture.YUYV}
}

// TestFormatsOfTheDriver: what its nodes cannot have is not chosen.
func TestFormatsOfTheDriver(t *testing.T) {
	for asked, want := range map[capture.PixelFormat]capture.PixelFormat{
		0: capture.YUV420, capture.MJPEG: capture.YUV420, capture.YUYV: capture.YUYV,
	} {
		o := Options{Driver: rawOnly{}, Format: capture.Format{Pixel: asked}}
		if got := o.chooseFormat(capture.Format{}); got.Pixel != want {
			t.Errorf("%v becomes %v, want %v", asked, got.Pixel, want)
		}
	}
}
