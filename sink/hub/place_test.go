package hub

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// TestPlacement: which camera a request belongs to, what is asked of it then, and which
// requests are refused.
func TestPlacement(t *testing.T) {
	hd := &transport.Mode{
		Camera: "HD Webcam",
		Source: capture.Mode{Pixel: capture.MJPEG, Width: 1280, Height: 720, Rate: capture.Rate{Num: 30000, Den: 1001}},
	}
	runs := cameraState{want: &capture.Want{Width: 1280, Height: 720}, mode: hd, name: "HD Webcam", path: "/dev/video0"}
	starts := cameraState{want: &capture.Want{Camera: "back", FPS: 15}}
	failed := cameraState{want: &capture.Want{FPS: 7}, failed: true}
	idle := cameraState{name: "Back Camera", path: "/dev/video2"}
	heard := cameraState{kind: capture.Audio, want: &audio, name: "Desk"}
	unheard := cameraState{kind: capture.Audio}
	for _, c := range []struct {
		cameras []cameraState
		now     int // of who has a camera, -1: a newcomer
		want    capture.Want
		placed  string
	}{
		{[]cameraState{idle}, -1, capture.Want{}, "0 any mode"},
		{[]cameraState{runs}, -1, capture.Want{}, "0"},
		{[]cameraState{runs}, -1, capture.Want{Camera: "auto"}, "0"},
		{[]cameraState{runs}, -1, capture.Want{Camera: "hd webcam"}, "0"},
		{[]cameraState{runs}, -1, capture.Want{Camera: "/dev/video0", FPS: 29.97}, "0"},
		{[]cameraState{runs}, -1, capture.Want{Width: 640, Height: 480}, "conflict"},
		{[]cameraState{runs}, -1, capture.Want{Pixel: capture.YUYV}, "conflict"},
		{[]cameraState{runs}, -1, capture.Want{FPS: 15}, "conflict"},
		{[]cameraState{runs}, -1, capture.Want{Camera: "other"}, "1 any mode"},
		{[]cameraState{runs, idle}, -1, capture.Want{Camera: "other"}, "1 any mode"},
		{[]cameraState{runs, {}, idle}, -1, capture.Want{Camera: "Back Camera", FPS: 5}, "2 5 fps"},
		{[]cameraState{starts}, -1, capture.Want{Width: 640, Height: 480}, "0 640x480 at 15 fps"},
		{[]cameraState{starts}, -1, capture.Want{FPS: 15}, "0"},
		{[]cameraState{starts}, -1, capture.Want{FPS: 30}, "conflict"},
		{[]cameraState{failed}, -1, capture.Want{FPS: 30}, "0 30 fps"},
		{[]cameraState{runs}, -1, capture.Want{Camera: Running("")}, "0"},
		{[]cameraState{starts, runs}, -1, capture.Want{Camera: Running("HD Webcam")}, "1"},
		{[]cameraState{runs}, -1, capture.Want{Camera: Running("other")}, "off"},
		{[]cameraState{idle}, -1, capture.Want{Camera: Running("")}, "off"},
		{[]cameraState{runs}, 0, capture.Want{Width: 640, Height: 480}, "0 640x480"},
		{[]cameraState{runs}, 0, capture.Want{FPS: 60}, "0 1280x720 at 60 fps"},
		{[]cameraState{runs}, 0, capture.Want{Camera: "other"}, "0 1280x720"},
		{[]cameraState{runs, starts}, 0, capture.Want{Camera: "back"}, "1"},
		{[]cameraState{failed}, 0, capture.Want{Width: 640, Height: 480}, "0 640x480"},
		{[]cameraState{runs}, -1, audio, "1 any mode"},
		{[]cameraState{idle}, -1, audio, "1 any mode"},
		{[]cameraState{runs, unheard}, -1, audio, "1 any mode"},
		{[]cameraState{runs, heard}, -1, audio, "1"},
		{[]cameraState{runs, heard}, -1, capture.Want{Kind: capture.Audio, Camera: "desk"}, "1"},
		{[]cameraState{runs, heard}, -1, capture.Want{Kind: capture.Audio, Camera: "HD Webcam"}, "2 any mode"},
		{[]cameraState{heard, unheard}, -1, capture.Want{}, "2 any mode"},
		{[]cameraState{heard, idle}, -1, capture.Want{Camera: Running("")}, "off"},
	} {
		p := placeNewcomer(c.cameras, c.want)
		if c.now >= 0 {
			p = placeChange(c.cameras, c.now, c.want)
		}
		got := fmt.Sprint(p.index)
		switch {
		case errors.Is(p.err, ErrConflict) && errors.Is(p.err, capture.ErrNoMode):
			got = "conflict"
		case errors.Is(p.err, errNotRunning):
			got = "off"
		case p.want != nil:
			got += " " + p.want.String()
		}
		if got != c.placed {
			t.Errorf("%+v of one who has %d is placed at %s, want %s", c.want, c.now, got, c.placed)
		}
	}
}
