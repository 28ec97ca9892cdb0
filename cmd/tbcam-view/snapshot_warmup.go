package main

import (
	"time"

	"github.com/tbcam/tbcam/capture"
)

// A camera that was just opened gives dark frames first. Its exposure is taken to
// have settled when the mean luminance of all frames of a time stays within a few
// levels of 255, and is not that of a frame without any light.
const (
	settleTime   = 400 * time.Millisecond
	settleFrames = 3
	settleRange  = 2.0
	settleDark   = 20.0
	// warmupTime is how long that is waited for at most.
	warmupTime = 1500 * time.Millisecond
)

// warmup decides when the first snapshot may be taken.
type warmup struct {
	skip   int // frames instead, -1 for by their luminance
	first  time.Time
	recent []luminance
}

// luminance is the mean of a frame that came at a time.
type luminance struct {
	at   time.Time
	mean float64
}

// isOver takes the next frame's luminance and reports whether that frame is a good
// one.
func (w *warmup) isOver(l luminance) bool {
	if w.skip >= 0 {
		w.skip--
		return w.skip < 0
	}
	if w.first.IsZero() {
		w.first = l.at
	}
	w.recent = append(w.recent, l)
	for l.at.Sub(w.recent[0].at) > settleTime {
		w.recent = w.recent[1:]
	}
	waited := l.at.Sub(w.first)
	return waited >= warmupTime || waited >= settleTime && len(w.recent) >= settleFrames && w.isEven()
}

// isEven reports whether the recent frames are equally bright.
func (w *warmup) isEven() bool {
	least, most := w.recent[0].mean, w.recent[0].mean
	for _, l := range w.recent {
		least, most = min(least, l.mean), max(most, l.mean)
	}
	return most-least <= settleRange && least > settleDark
}

// meanLuminance returns that of a raw frame, from some of its pixels. Of formats
// without luminance it is the mean of all samples.
func meanLuminance(f *capture.Frame) float64 {
	const most = 1 << 14
	offset, step, size := 0, 1, f.Format.Width*f.Format.Height
	switch f.Format.Pixel {
	case capture.YUYV, capture.YVYU:
		step = 2
	case capture.UYVY:
		offset, step = 1, 2
	case capture.RGB24, capture.BGR24:
		size = len(f.Data)
	}
	n := min(size, most)
	sum := 0
	for i := range n {
		sum += int(f.Data[offset+i*size/n*step])
	}
	return float64(sum) / float64(max(n, 1))
}
