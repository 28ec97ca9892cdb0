package capture

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestAudioFormats(t *testing.T) {
	for _, c := range []struct {
		format AudioFormat
		text   string
		usable bool
	}{
		{Mono, "48000 Hz mono", true},
		{Stereo, "48000 Hz stereo", true},
		{AudioFormat{}, "0 Hz 0 channels", false},
		{AudioFormat{44100, 1}, "44100 Hz mono", false},
		{AudioFormat{AudioRate, 3}, "48000 Hz 3 channels", false},
		{AudioFormat{AudioRate, -1}, "48000 Hz -1 channels", false},
		{AudioFormat{math.MaxInt, math.MaxInt}, "9223372036854775807 Hz 9223372036854775807 channels", false},
	} {
		if err := c.format.Check(); (err == nil) != c.usable || c.format.String() != c.text {
			t.Errorf("%v: %v", c.format, err)
		}
	}
	if Mono.BlockSize() != 960 || Stereo.BlockSize() != 1920 {
		t.Errorf("blocks of %d and %d bytes", Mono.BlockSize(), Stereo.BlockSize())
	}
}

// TestAudioIsNoVideo: no consumer of video takes a frame of audio for one.
func TestAudioIsNoVideo(t *testing.T) {
	video := Format{Pixel: MJPEG, Width: 640, Height: 480}
	both := video
	both.Audio = Mono
	for _, f := range []Format{{Audio: Mono}, both} {
		if f.Check() == nil || !f.IsAudio() {
			t.Errorf("%v is taken for video", f)
		}
	}
	if text := (Format{Audio: Mono}).String(); text != Mono.String() {
		t.Errorf("audio is %q", text)
	}
	text, err := json.Marshal(video)
	if want := `{"format":"mjpeg","width":640,"height":480,"matrix":0,"range":0}`; err != nil || string(text) != want {
		t.Errorf("video is %s (%v), want %s", text, err, want)
	}
}

func TestAudioTimes(t *testing.T) {
	for _, samples := range []int64{0, 1, 479, 480, 48000, 48001, 24 * 3600 * AudioRate, 1<<40 + 7, -480, -1} {
		if got := AudioSamples(AudioDuration(samples)); got != samples {
			t.Errorf("%d samples became %d", samples, got)
		}
	}
	if d := AudioDuration(AudioBlock); d != AudioPeriod {
		t.Errorf("a block lasts %v", d)
	}
	if n := AudioSamples(15 * time.Microsecond); n != 1 {
		t.Errorf("15 µs are %d samples", n)
	}
}
