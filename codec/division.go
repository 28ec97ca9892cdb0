package codec

import (
	"runtime"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// division is how a frame is divided among goroutines.
type division struct {
	rows    int // of pixels in a strip, but for the last one
	workers int
}

const (
	// A frame has wantedStrips, so that the last ones end at about the same time, but
	// they have few enough pixels for a processor's cache, and many enough for the
	// cost of another header.
	wantedStrips   = 16
	minStripPixels = 96 << 10
	maxStripPixels = 256 << 10
	// workerPixels is how many pixels pay for another worker: its processor has to
	// wake up. Frames that are too small for two of them are not divided.
	workerPixels = 256 << 10
	maxWorkers   = 8
)

// workersFor returns how many goroutines work on a frame where so many can run.
func workersFor(f capture.Format, procs int) int {
	return max(1, min(procs, maxWorkers, f.Width*f.Height/workerPixels))
}

// divideNow is divide on the processors that the process has now.
func divideNow(f capture.Format) division { return divideFrame(f, runtime.GOMAXPROCS(0)) }

// divideFrame returns how to encode frames of a raw format. One worker alone gains by
// strips, too, if it has to unpack them before: it encodes what is still in its cache.
func divideFrame(f capture.Format, procs int) division {
	workers := workersFor(f, procs)
	if f.Width*f.Height < 2*workerPixels || workers == 1 && isDirect(f.Pixel.Info().Layout) {
		return division{f.Height, 1}
	}
	unit := unitLines(f)
	pixels := max(minStripPixels, min(f.Width*f.Height/wantedStrips, maxStripPixels))
	lines := (pixels/f.Width + unit - 1) / unit * unit
	return division{min(lines, f.Height), workers}
}

// unitLines returns how many lines the MCUs have of JPEGs made of a raw format.
func unitLines(f capture.Format) int {
	_, subY := jfif.SubsamplingOf(PlanarFormat(f).Pixel).Factors()
	return 8 * subY
}

// stripCount returns how many strips a frame has.
func (d division) stripCount(height int) int { return (height + d.rows - 1) / d.rows }

// largestStrip returns the largest size of the JPEG of a strip.
func (d division) largestStrip(f capture.Format) int {
	f = PlanarFormat(f)
	f.Height = min(d.rows, f.Height)
	return jpegBound(f, jfif.SubsamplingOf(f.Pixel))
}
