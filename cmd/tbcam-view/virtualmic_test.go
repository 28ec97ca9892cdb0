package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// TestAudioDelay: what can be asked for, and how long a block waits for it.
func TestAudioDelay(t *testing.T) {
	for _, c := range []struct {
		flags    playbackFlags
		video    time.Duration
		want     time.Duration // of a block that is 30 ms old without it
		refusing string
	}{
		{playbackFlags{virtual: true, delay: "auto"}, 0, 0, ""},
		{playbackFlags{listen: true, delay: "auto"}, 20 * time.Millisecond, 0, ""},
		{playbackFlags{listen: true, delay: "auto"}, 80 * time.Millisecond, 50 * time.Millisecond, ""},
		{playbackFlags{listen: true, delay: "auto"}, time.Minute, maxDelay - 30*time.Millisecond, ""},
		{playbackFlags{virtual: true, delay: "0"}, 80 * time.Millisecond, 0, ""},
		{playbackFlags{virtual: true, delay: "31.5"}, 80 * time.Millisecond, 1500 * time.Microsecond, ""},
		{playbackFlags{virtual: true, delay: "1001"}, 0, 0, "--audio-delay 1001: want auto, or 0 to 1000 ms"},
		{playbackFlags{virtual: true, delay: "-1"}, 0, 0, "want auto"},
		{playbackFlags{virtual: true, delay: "NaN"}, 0, 0, "want auto"},
		{playbackFlags{virtual: true, delay: "80ms"}, 0, 0, "want auto"},
		{playbackFlags{delay: "80"}, 0, 0, "needs --virtual-microphone or --listen"},
		{playbackFlags{delay: "auto"}, 0, 0, ""},
	} {
		r := &run{o: options{playback: c.flags}}
		err := c.flags.check()
		if (err != nil) != (c.refusing != "") || err != nil && !strings.Contains(err.Error(), c.refusing) {
			t.Errorf("%+v: %v, want %q", c.flags, err, c.refusing)
		}
		if err != nil {
			continue
		}
		captured := time.Now()
		for range 2 {
			r.videoAge.note(&[capture.NumStages]time.Time{}, captured) // not known
			r.videoAge.note(&[capture.NumStages]time.Time{capture.Captured: captured}, captured.Add(c.video))
		}
		if got := r.audioDelay(30 * time.Millisecond); got != c.want {
			t.Errorf("%+v: it waits %v, want %v", c.flags, got, c.want)
		}
	}
}

// TestVideoAge: it is averaged over a second or so.
func TestVideoAge(t *testing.T) {
	var a age
	captured := time.Now()
	at := [capture.NumStages]time.Time{capture.Captured: captured}
	a.note(&at, captured.Add(40*time.Millisecond))
	a.note(&at, captured.Add(104*time.Millisecond))
	if got := a.smoothed(); got != 42*time.Millisecond {
		t.Errorf("one late frame makes it %v", got)
	}
	for range 150 {
		a.note(&at, captured.Add(100*time.Millisecond))
	}
	if got := a.smoothed(); got < 99*time.Millisecond {
		t.Errorf("after 150 frames it is %v", got)
	}
}
