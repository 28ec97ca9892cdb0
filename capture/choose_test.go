package capture

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func mode(p PixelFormat, width, height int, fps uint32) Mode {
	return Mode{Pixel: p, Width: width, Height: height, Rate: Rate{fps, 1}}
}

// webcam is what many USB 2 cameras offer: raw frames that are small or slow.
var webcam = []Mode{
	mode(YUYV, 640, 480, 30), mode(YUYV, 320, 240, 30), mode(YUYV, 1280, 720, 10), mode(YUYV, 1920, 1080, 5),
	mode(MJPEG, 640, 480, 30), mode(MJPEG, 1280, 720, 30), mode(MJPEG, 1920, 1080, 30), mode(MJPEG, 1920, 1080, 15),
}

var ntsc = Mode{Pixel: YUYV, Width: 640, Height: 480, Rate: Rate{30000, 1001}}

func TestChooseMode(t *testing.T) {
	h264 := PixelFormat('H' | '2'<<8 | '6'<<16 | '4'<<24)
	for name, c := range map[string]struct {
		modes []Mode
		want  Want
		best  Mode
	}{
		"fluent before large":        {[]Mode{mode(YUYV, 1920, 1080, 5), mode(YUYV, 1280, 720, 30)}, Want{}, mode(YUYV, 1280, 720, 30)},
		"large among the fluent":     {[]Mode{mode(YUYV, 1280, 720, 30), mode(YUYV, 1920, 1080, 24)}, Want{}, mode(YUYV, 1920, 1080, 24)},
		"half fluent before large":   {[]Mode{mode(YUYV, 1920, 1080, 5), mode(YUYV, 640, 480, 15)}, Want{}, mode(YUYV, 640, 480, 15)},
		"slow, if all are":           {[]Mode{mode(YUYV, 1920, 1080, 5), mode(YUYV, 640, 480, 5)}, Want{}, mode(YUYV, 1920, 1080, 5)},
		"30 before 60":               {[]Mode{mode(MJPEG, 1920, 1080, 60), mode(MJPEG, 1920, 1080, 30)}, Want{}, mode(MJPEG, 1920, 1080, 30)},
		"no larger than 1080p":       {[]Mode{mode(MJPEG, 3840, 2160, 30), mode(MJPEG, 1920, 1440, 30), mode(MJPEG, 1280, 720, 30)}, Want{}, mode(MJPEG, 1280, 720, 30)},
		"as many pixels as 1080p":    {[]Mode{mode(MJPEG, 1600, 1200, 30), mode(MJPEG, 1280, 720, 30)}, Want{}, mode(MJPEG, 1600, 1200, 30)},
		"larger, if all are":         {[]Mode{mode(MJPEG, 3840, 2160, 30), mode(MJPEG, 2560, 1440, 30)}, Want{}, mode(MJPEG, 2560, 1440, 30)},
		"large fluent before slow":   {[]Mode{mode(MJPEG, 3840, 2160, 30), mode(MJPEG, 1920, 1080, 15)}, Want{}, mode(MJPEG, 3840, 2160, 30)},
		"unknown rate":               {[]Mode{mode(YUYV, 640, 480, 0)}, Want{}, mode(YUYV, 640, 480, 0)},
		"webcam":                     {webcam, Want{}, mode(MJPEG, 1920, 1080, 30)},
		"jpeg above 640x480":         {webcam, Want{Width: 1280, Height: 720}, mode(MJPEG, 1280, 720, 30)},
		"raw at 640x480":             {webcam, Want{Width: 640, Height: 480}, mode(YUYV, 640, 480, 30)},
		"jpeg, asked, at 640x480":    {webcam, Want{Pixel: JPEG, Width: 640, Height: 480}, mode(MJPEG, 640, 480, 30)},
		"raw, asked":                 {webcam, Want{Pixel: YUYV}, mode(YUYV, 640, 480, 30)},
		"raw and large, asked":       {webcam, Want{Pixel: YUYV, Width: 1920, Height: 1080}, mode(YUYV, 1920, 1080, 5)},
		"rate, asked":                {webcam, Want{FPS: 15}, mode(MJPEG, 1920, 1080, 15)},
		"about the rate":             {[]Mode{ntsc}, Want{FPS: 30}, ntsc},
		"larger, asked":              {[]Mode{mode(MJPEG, 3840, 2160, 30), mode(MJPEG, 1280, 720, 30)}, Want{Width: 3840, Height: 2160}, mode(MJPEG, 3840, 2160, 30)},
		"only what tbcam can use":    {[]Mode{mode(h264, 1920, 1080, 30), mode(YUYV, 640, 480, 30)}, Want{}, mode(YUYV, 640, 480, 30)},
		"least to convert":           {[]Mode{mode(RGB24, 640, 480, 30), mode(NV12, 640, 480, 30), mode(YUYV, 640, 480, 30), mode(GREY, 640, 480, 30)}, Want{}, mode(YUYV, 640, 480, 30)},
		"grey, if there is no other": {[]Mode{mode(GREY, 640, 480, 30)}, Want{}, mode(GREY, 640, 480, 30)},
		"colour before grey":         {[]Mode{mode(GREY, 640, 480, 30), mode(BGR24, 640, 480, 30)}, Want{}, mode(BGR24, 640, 480, 30)},
		"portrait":                   {[]Mode{mode(MJPEG, 1080, 1920, 30), mode(MJPEG, 480, 640, 30)}, Want{}, mode(MJPEG, 1080, 1920, 30)},
	} {
		for range 2 { // the order of the list decides nothing
			got, err := ChooseMode(c.modes, c.want)
			if err != nil || got != c.best {
				t.Errorf("%s: got %v, %v, want %v", name, got, err, c.best)
			}
			for i, j := 0, len(c.modes)-1; i < j; i, j = i+1, j-1 {
				c.modes[i], c.modes[j] = c.modes[j], c.modes[i]
			}
		}
	}
}

func TestChooseModeNone(t *testing.T) {
	for name, c := range map[string]struct {
		modes   []Mode
		want    Want
		message string
	}{
		"no modes": {nil, Want{}, "camera lists no formats"},
		"unusable": {[]Mode{mode(fourCC("H264"), 640, 480, 30), mode(fourCC("HEVC"), 640, 480, 30), mode(fourCC("H264"), 320, 240, 30)}, Want{},
			"camera delivers only H264, HEVC, which cannot be decoded"},
		"too large": {[]Mode{mode(GREY, MaxDimension+1, 1, 30)}, Want{},
			"camera does not offer any mode; nearest: grey 8193x1 30 fps"},
		"size": {webcam, Want{Width: 1300, Height: 720, FPS: 30},
			"camera does not offer 1300x720 at 30 fps; nearest: mjpeg 1280x720 30 fps, mjpeg 1920x1080 30 fps, yuyv 1280x720 10 fps"},
		"format": {webcam, Want{Pixel: NV12, Width: 320, Height: 240},
			"camera does not offer nv12 320x240; it has yuyv, mjpeg; nearest: yuyv 320x240 30 fps, yuyv 640x480 30 fps, mjpeg 640x480 30 fps"},
		"rate": {webcam, Want{Width: 1280, Height: 720, FPS: 60},
			"camera does not offer 1280x720 at 60 fps; nearest: mjpeg 1280x720 30 fps, yuyv 1280x720 10 fps, mjpeg 1920x1080 30 fps"},
	} {
		got, err := ChooseMode(c.modes, c.want)
		if !errors.Is(err, ErrNoMode) || err.Error() != c.message {
			t.Errorf("%s: got %v, %v, want %q", name, got, err, c.message)
		}
	}
}

func TestWantWithDefaults(t *testing.T) {
	base := Want{Camera: "base", Pixel: MJPEG, Width: 640, Height: 480, FPS: 30}
	for _, c := range []struct{ want, got Want }{
		{Want{}, base},
		{Want{Input: "1", Standard: "pal"}, base}, // which no peer chooses
		{Want{Camera: "other", Pixel: YUYV}, Want{Camera: "other", Pixel: YUYV, Width: 640, Height: 480, FPS: 30}},
		{Want{Width: 1280, Height: 720, FPS: 60}, Want{Camera: "base", Pixel: MJPEG, Width: 1280, Height: 720, FPS: 60}},
	} {
		if got := c.want.WithDefaults(base); got != c.got {
			t.Errorf("%+v: got %+v, want %+v", c.want, got, c.got)
		}
	}
}

func TestWantCheck(t *testing.T) {
	for _, good := range []Want{{}, {Width: 1, Height: MaxDimension, FPS: 29.97}, {FPS: maxFPS}} {
		if err := good.Check(); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range []Want{
		{Width: 640}, {Height: 480}, {Width: -1, Height: -1}, {Width: MaxDimension + 1, Height: 1},
		{FPS: -1}, {FPS: math.NaN()}, {FPS: math.Inf(1)}, {FPS: math.Inf(-1)},
	} {
		if err := bad.Check(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
}

func TestStrings(t *testing.T) {
	for got, want := range map[string]string{
		Want{}.String():               "any mode",
		Want{Camera: "auto"}.String(): "any mode",
		Want{Pixel: MJPEG, Width: 1280, Height: 720, FPS: 30}.String():                          "mjpeg 1280x720 at 30 fps",
		mode(MJPEG, 1920, 1080, 30).String():                                                    "mjpeg 1920x1080 30 fps",
		Mode{Pixel: NV12, Width: 640, Height: 480, Rate: Rate{30000, 1001}}.String():            "nv12 640x480 29.97 fps",
		Mode{Pixel: UYVY, Width: 720, Height: 576, Rate: Rate{25, 1}, Field: TopFirst}.String(): "uyvy 720x576 25 fps interlaced (top field first)",
		Mode{Pixel: UYVY, Width: 720, Height: 480, Field: BottomFirst}.String():                 "uyvy 720x480 interlaced (bottom field first)",
		Mode{Pixel: UYVY, Width: 720, Height: 480, Field: 77}.String():                          "uyvy 720x480",
		mode(YUYV, 640, 480, 0).String():                                                        "yuyv 640x480",
		Mode{Pixel: GREY, Rate: Rate{5, 0}}.String():                                            "grey 0x0",
		Format{Pixel: YUV420, Width: 2, Height: 3}.String():                                     "yu12 2x3",
		Captured.String() + " " + Decoded.String():                                              "captured decoded",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
