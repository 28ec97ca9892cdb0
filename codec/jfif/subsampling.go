package jfif

import "github.com/tbcam/tbcam/capture"

// Subsampling is how many pixels share a sample of chroma in a JPEG.
type Subsampling uint8

// The subsamplings that tbcam reads. Grey has no chroma.
const (
	Grey Subsampling = iota
	S444
	S422
	S420
	S440
	S411
)

// subsamplings has the pixels of a sample of chroma, across and down, and the
// planar format that holds it. No raw format is like the last two: they take the
// next one with more chroma.
var subsamplings = [...]struct {
	name  string
	x, y  int
	pixel capture.PixelFormat
}{
	Grey: {"grey", 1, 1, capture.GREY},
	S444: {"4:4:4", 1, 1, capture.YUV444},
	S422: {"4:2:2", 2, 1, capture.YUV422P},
	S420: {"4:2:0", 2, 2, capture.YUV420},
	S440: {"4:4:0", 1, 2, capture.YUV444},
	S411: {"4:1:1", 4, 1, capture.YUV422P},
}

// SubsamplingOf returns the subsampling of JPEGs that are made of frames of a
// planar format.
func SubsamplingOf(planar capture.PixelFormat) Subsampling {
	for s, row := range subsamplings {
		if row.pixel == planar {
			return Subsampling(s)
		}
	}
	panic("jfif: pixel format " + planar.String() + " is not planar")
}

// parseSubsampling returns the subsampling of three components.
func parseSubsampling(x, y int) (Subsampling, bool) {
	for s := S444; int(s) < len(subsamplings); s++ {
		if subsamplings[s].x == x && subsamplings[s].y == y {
			return s, true
		}
	}
	return 0, false
}

// String returns the usual name, such as "4:2:0".
func (s Subsampling) String() string { return subsamplings[s].name }

// Components returns how many components such a JPEG has: 1 or 3.
func (s Subsampling) Components() int {
	if s == Grey {
		return 1
	}
	return 3
}

// Factors returns how many pixels share a sample of chroma, across and down.
func (s Subsampling) Factors() (x, y int) { return subsamplings[s].x, subsamplings[s].y }

// Chroma returns how many samples of Cb, and of Cr, a rectangle of pixels has.
func (s Subsampling) Chroma(width, height int) (w, h int) {
	x, y := s.Factors()
	return (width + x - 1) / x, (height + y - 1) / y
}

// Planar returns the pixel format that such JPEGs decode to.
func (s Subsampling) Planar() capture.PixelFormat { return subsamplings[s].pixel }
