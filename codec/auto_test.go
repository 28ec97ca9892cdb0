package codec

import (
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// autoStep is what a line is like at a time, in multiples of what raw frames need,
// and what is chosen then.
type autoStep struct {
	after     time.Duration
	times     float64
	wantsJPEG bool
	kind      Kind
	reason    Reason
}

func TestAutoChoice(t *testing.T) {
	for name, steps := range map[string][]autoStep{
		"unknown, then wide": {{0, 0, false, JPEG, Unmeasured}, {0, 3, false, Raw, Room}},
		"narrow":             {{0, 2.99, false, JPEG, NoRoom}},
		"room in between is kept": {
			{0, 3, false, Raw, Room}, {time.Second, 2, false, Raw, Room}, {time.Second, 1.99, false, JPEG, NoRoom},
			{time.Second, 2.5, false, JPEG, NoRoom},
		},
		"settles": {
			{0, 4, false, Raw, Room}, {0, 1, false, JPEG, NoRoom}, {9 * time.Second, 9, false, JPEG, NoRoom},
			{time.Second, 9, false, Raw, Room},
		},
		"narrow lines need not settle": {{0, 1, false, JPEG, NoRoom}, {0, 3, false, Raw, Room}},
		"a recording begins and ends": {
			{0, 4, false, Raw, Room}, {0, 4, true, JPEG, OutputWantsJPEG}, {0, 4, false, Raw, Room},
		},
		"a recording on a line that is not known": {{0, 0, true, JPEG, OutputWantsJPEG}},
		"the line becomes unknown":                {{0, 4, false, Raw, Room}, {0, 0, false, JPEG, Unmeasured}, {0, 4, false, Raw, Room}},
	} {
		t.Run(name, func(t *testing.T) {
			var a AutoChoice
			now, format := time.Now(), formatOf(capture.NV12, 1920, 1080)
			for i, s := range steps {
				now = now.Add(s.after)
				line := Line{Rate: s.times * 30 * float64(format.Size()), WantsJPEG: s.wantsJPEG}
				if kind, reason := a.Choose(now, format, 30, line); kind != s.kind || reason != s.reason {
					t.Errorf("step %d: %v (%v) instead of %v (%v)", i, kind, reason, s.kind, s.reason)
				}
			}
		})
	}
}

// TestAutoChoiceIsSteady: a rate that swings changes the kind at most twice in settleTime.
func TestAutoChoiceIsSteady(t *testing.T) {
	var a AutoChoice
	now, format := time.Now(), formatOf(capture.YUYV, 1920, 1080)
	changes, last := 0, JPEG
	for i := range 600 { // a minute
		line := Line{Rate: float64(1+i%2*3) * 30 * float64(format.Size())}
		kind, _ := a.Choose(now.Add(time.Duration(i)*100*time.Millisecond), format, 30, line)
		if kind != last {
			changes++
		}
		last = kind
	}
	if changes > 12 {
		t.Errorf("%d changes in a minute", changes)
	}
}

// TestAutoChoiceOfUnknown: neither a format without a size nor a camera without a
// rate makes raw frames look free.
func TestAutoChoiceOfUnknown(t *testing.T) {
	for _, tt := range []struct {
		pixel capture.PixelFormat
		rate  float64
	}{{capture.MJPEG, 30}, {capture.YUYV, 0}} {
		var a AutoChoice
		if kind, reason := a.Choose(time.Now(), formatOf(tt.pixel, 640, 480), tt.rate, Line{Rate: 1e9}); kind != JPEG || reason != NoRoom {
			t.Errorf("%v at %v/s: %v (%v)", tt.pixel, tt.rate, kind, reason)
		}
	}
}
