package pattern

import (
	"image"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// flashShare is the part of width and height that the flash takes, in the lower right
// corner: one in flashShare.
const flashShare = 12

// clock has the times of what happens at a rate. Of every rate that divides a second one
// frame lies on each full second of the wall clock, as one block of audio does.
type clock struct {
	second time.Time // a full second, before the first frame
	first  int       // how many periods later that is
	rate   capture.Rate
}

// newClock returns a clock that begins at now, or less than a period later.
func newClock(now time.Time, rate capture.Rate) clock {
	c := clock{second: now.Add(-time.Duration(now.Nanosecond())), rate: rate}
	if rate.FPS() < 1 {
		c.second = now // no full second to wait for
	}
	for c.timeOf(0).Before(now) {
		c.first++
	}
	return c
}

// timeOf returns when frame n is captured. The periods are not added up: after a day
// they would be 0.9 ms off.
func (c clock) timeOf(n int) time.Time {
	frames := time.Duration(c.first + n)
	den, num := time.Duration(c.rate.Den), time.Duration(c.rate.Num)
	// Whole cycles of num frames last den seconds; the rest cannot overflow.
	return c.second.Add(frames / num * den * time.Second).Add(frames % num * den * time.Second / num)
}

// newest returns the last frame that was captured by now, -1 for none.
func (c clock) newest(now time.Time) int {
	since := now.Sub(c.second)
	den, num := time.Duration(c.rate.Den), time.Duration(c.rate.Num)
	cycle := den * time.Second
	n := int(since/cycle*num+since%cycle*num/cycle) - c.first
	// A third of a second is no whole number of nanoseconds.
	if !c.timeOf(n + 1).After(now) {
		n++
	}
	return n
}

// flashes reports whether a frame that was captured at a time, one of a rate, is the
// one on a full second.
func flashes(at time.Time, period time.Duration) bool {
	return time.Duration(at.Nanosecond()) < min(period, time.Second)
}

// drawFlash paints the corner white in the frame on a full second, and black in others.
func (s *Source) drawFlash(f *capture.Frame) {
	value := byte(black)
	if flashes(f.Time, s.period) {
		value = white
	}
	w, h := f.Format.Width, f.Format.Height
	fillLuma(f, w-w/flashShare, w, h-h/flashShare, h, value)
}

// IsFlash reports whether a test camera flashes in a frame of which luma(x, y) is the
// brightness. bounds is where the frame lies; it may be scaled.
func IsFlash(bounds image.Rectangle, luma func(x, y int) byte) bool {
	x := bounds.Max.X - bounds.Dx()/(2*flashShare) - 1
	y := bounds.Max.Y - bounds.Dy()/(2*flashShare) - 1
	return luma(x, y) >= 128
}
