package main

import (
	"math"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// TestWarmup: the first frame that is good enough for a snapshot.
func TestWarmup(t *testing.T) {
	for name, c := range map[string]struct {
		skip  int
		fps   int
		mean  func(s float64) float64 // after so many seconds
		least time.Duration
		most  time.Duration
	}{
		"bright from the start": {-1, 30, func(float64) float64 { return 120 }, settleTime, settleTime + 50*time.Millisecond},
		"grows for a second": {-1, 30, func(s float64) float64 { return 30 + 90*min(s, 1) },
			time.Second, warmupTime},
		"grows in steps": {-1, 30, func(s float64) float64 { return 30 + 20*math.Floor(min(s, 0.9)/0.2) },
			1100 * time.Millisecond, 1300 * time.Millisecond},
		"black at first":   {-1, 30, func(s float64) float64 { return map[bool]float64{true: 16, false: 100}[s < 0.7] }, 1100 * time.Millisecond, 1200 * time.Millisecond},
		"a dark room":      {-1, 30, func(float64) float64 { return 17 }, warmupTime, warmupTime + 50*time.Millisecond},
		"never even":       {-1, 30, func(s float64) float64 { return 100 + 50*math.Sin(9*s) }, warmupTime, warmupTime + 50*time.Millisecond},
		"slow":             {-1, 5, func(float64) float64 { return 120 }, settleTime, settleTime + 200*time.Millisecond},
		"one in a second":  {-1, 1, func(float64) float64 { return 120 }, warmupTime, 2 * time.Second},
		"the first frame":  {0, 30, func(float64) float64 { return 1 }, 0, 0},
		"the fourth frame": {3, 30, func(float64) float64 { return 1 }, 100 * time.Millisecond, 100 * time.Millisecond},
	} {
		start := time.Now()
		w := warmup{skip: c.skip}
		var after time.Duration
		for i := 0; ; i++ {
			after = time.Duration(i) * time.Second / time.Duration(c.fps)
			if w.isOver(luminance{start.Add(after), c.mean(after.Seconds())}) {
				break
			}
		}
		if after < c.least || after > c.most {
			t.Errorf("%s: taken after %v, want %v to %v", name, after, c.least, c.most)
		}
	}
}

// TestMeanLuminance: chroma counts nothing, wherever it is.
func TestMeanLuminance(t *testing.T) {
	for pixel, sample := range map[capture.PixelFormat][]byte{
		capture.GREY: {50}, capture.YUYV: {50, 200}, capture.YVYU: {50, 200}, capture.UYVY: {200, 50}, capture.RGB24: {50, 50, 50}, capture.NV12: {50},
	} {
		f := &capture.Frame{Format: capture.Format{Pixel: pixel, Width: 320, Height: 240}}
		f.Data = make([]byte, f.Format.Size())
		for i := range f.Data {
			f.Data[i] = 200
			if i < 320*240*len(sample) {
				f.Data[i] = sample[i%len(sample)]
			}
		}
		if mean := meanLuminance(f); mean != 50 {
			t.Errorf("%v: %v, want 50", pixel, mean)
		}
	}
}
