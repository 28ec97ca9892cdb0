package transport

import (
	"slices"
	"sync"
	"time"
)

// lineRate estimates what the line carries for a stream, from below: a frame was carried
// whole when the viewer gives its credit back, and that comes from the viewer's memory.
// The duration of writing would measure a copy instead: a JPEG fits into the kernel's
// buffers, which hold up to 2 MiB.
type lineRate struct {
	mu      sync.Mutex
	flights [maxWindow]flight // by index: no more frames are on their way
	begun   uint64            // frames in all
	carried uint64            // of these
	recent  [8]float64        // bytes per second of frames that were carried last
	samples uint64            // of recent in all
}

// flight is a frame on its way.
type flight struct {
	bytes int
	begun time.Time // its first byte was about to be written
}

// shortestFlight bounds the rate of a frame that came in no time.
const shortestFlight = time.Microsecond

// beginFrame notes that the next frame is about to be written.
func (l *lineRate) beginFrame(bytes int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flights[l.begun%maxWindow] = flight{bytes, now}
	l.begun++
}

// noteCarried notes that so many frames have reached the viewer in all. Of several that one
// credit gives back, the last one counts: the others may have been there earlier.
func (l *lineRate) noteCarried(frames uint64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames = min(frames, l.begun) // a larger window gives more than was sent
	if frames <= l.carried {
		return
	}
	l.carried = frames
	last := l.flights[(frames-1)%maxWindow]
	took := max(now.Sub(last.begun), shortestFlight)
	l.recent[l.samples%uint64(len(l.recent))] = float64(last.bytes) / took.Seconds()
	l.samples++
}

// estimate returns the best of the recent rates, in bytes per second: what delays a frame
// is often no part of the line. It is 0 before the first frame was carried.
func (l *lineRate) estimate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Max(l.recent[:])
}
