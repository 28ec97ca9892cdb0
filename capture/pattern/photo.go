package pattern

import (
	"math"
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// A scene of tileWidth x tileHeight pixels fills larger frames side by side: to draw all
// of a 4K frame would take most of a second.
const tileWidth, tileHeight = 1024, 512

// scene is a test image with as much detail as a photograph: soft shapes, texture in
// all sizes, and grain. Bars are encoded in half the time, and say little of a camera.
type scene struct{ luma, cb, cr [tileWidth * tileHeight]byte }

// photo is the scene, which takes a fifth of a second to draw.
var photo = sync.OnceValue(newScene)

// newScene draws the scene, which is always the same.
func newScene() *scene {
	s := new(scene)
	for y := range tileHeight {
		for x := range tileWidth {
			shape := fractal(x, y, 256, 3, 1)
			texture := fractal(x, y, 32, 5, 2)
			grain := hash(x, y, 3) - 0.5
			i := y*tileWidth + x
			s.luma[i] = limited(110 + 130*(shape-0.5) + 110*step(shape)*(texture-0.5) + 26*grain)
			s.cb[i] = limited(128 + 70*(fractal(x, y, 128, 3, 4)-0.5))
			s.cr[i] = limited(128 + 70*(fractal(x, y, 128, 3, 5)-0.5))
		}
	}
	return s
}

// color returns Y', Cb and Cr of a pixel of a frame.
func (s *scene) color(x, y int) [3]byte {
	i := y%tileHeight*tileWidth + x%tileWidth
	return [3]byte{s.luma[i], s.cb[i], s.cr[i]}
}

// step makes edges: some of the shapes have much texture, and others little.
func step(v float64) float64 {
	if v > 0.5 {
		return 1.5
	}
	return 0.5
}

func limited(v float64) byte { return byte(min(max(v, black), white)) }

// fractal returns noise from 0 to 1 with features of a size in pixels and, less strong, of
// halves of it.
func fractal(x, y, size, octaves, seed int) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for range octaves {
		sum += weight * noise(float64(x)/float64(size), float64(y)/float64(size), seed)
		total += weight
		weight, size, seed = weight*0.6, max(size/2, 1), seed+101
	}
	return sum / total
}

// noise interpolates between random values at whole coordinates.
func noise(x, y float64, seed int) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	u, v := x-x0, y-y0
	u, v = u*u*(3-2*u), v*v*(3-2*v) // without creases
	i, j := int(x0), int(y0)
	top := hash(i, j, seed)*(1-u) + hash(i+1, j, seed)*u
	bottom := hash(i, j+1, seed)*(1-u) + hash(i+1, j+1, seed)*u
	return top*(1-v) + bottom*v
}

// hash returns a number from 0 to 1 that depends on its arguments alone (the finalizer
// of MurmurHash3).
func hash(x, y, seed int) float64 {
	h := uint32(x)*0x9E3779B1 ^ uint32(y)*0x85EBCA77 ^ uint32(seed)*0xC2B2AE3D
	h = (h ^ h>>16) * 0x85EBCA6B
	h = (h ^ h>>13) * 0xC2B2AE35
	return float64(h^h>>16) / math.MaxUint32
}

// drawStill returns a frame without what moves in it: what color returns for each pixel,
// below a black field for the code.
func drawStill(format capture.Format, color func(x, y int) [3]byte) []byte {
	data := make([]byte, format.Size())
	planes, n := format.Planes()
	for y := range format.Height {
		line := data[y*planes[0].Stride:]
		for x := range format.Width {
			c := below(format, x, y, color)
			if format.Pixel == capture.YUYV {
				line[2*x], line[2*x+1] = c[0], c[1+x%2]
				continue
			}
			line[x] = c[0]
		}
	}
	for y := 0; n > 1 && y < planes[1].Lines; y++ {
		for x := range (format.Width + 1) / 2 {
			c := below(format, 2*x, 2*y, color)
			if format.Pixel == capture.NV12 {
				line := data[planes[1].Offset+y*planes[1].Stride:]
				line[2*x], line[2*x+1] = c[1], c[2]
				continue
			}
			data[planes[1].Offset+y*planes[1].Stride+x] = c[1]
			data[planes[2].Offset+y*planes[2].Stride+x] = c[2]
		}
	}
	return data
}

// below returns the colour of a pixel below the field for the code.
func below(format capture.Format, x, y int, color func(x, y int) [3]byte) [3]byte {
	if y < format.Height/codeShare {
		return [3]byte{black, 128, 128}
	}
	return color(x, y)
}
