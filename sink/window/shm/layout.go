package shm

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// Slots is how many frames the memory holds: one that is being written, the
// newest, and one that is being read. So neither side ever waits for the other.
const Slots = 3

// texel is what the width of a plane is rounded up to: a graphics card takes
// four bytes as one RGBA texel, and the window knows no textures of one channel.
const texel = 4

const pageSize = 4096

// Layout is where the planes of a frame lie in a slot: Y', Cb and Cr, or
// only Y' for grey. Both sides derive it from the format.
type Layout struct {
	Planes []capture.Plane
	size   int // bytes of a slot, whole pages
}

// NewLayout lays out the frames of a planar format. Other formats cannot be
// shown as they are and give an error.
func NewLayout(f capture.Format) (Layout, error) {
	if err := f.Check(); err != nil {
		return Layout{}, err
	}
	if f.Pixel.Info().Planar != f.Pixel {
		return Layout{}, fmt.Errorf("pixel format %v has no planes of Y, Cb and Cr", f.Pixel)
	}
	packed, n := f.Planes()
	l := Layout{Planes: packed[:n]}
	for i := range l.Planes {
		p := &l.Planes[i]
		p.Offset, p.Stride = l.size, roundUp(p.Stride, texel)
		l.size += p.Stride * p.Lines
	}
	l.size = roundUp(l.size, pageSize)
	return l, nil
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// totalSize returns the bytes to share: a page of control and the slots.
func (l Layout) totalSize() int { return pageSize + Slots*l.size }

// slotPlanes returns the planes of slot i of the memory.
func (l Layout) slotPlanes(memory []byte, i int) (planes [3][]byte) {
	slot := memory[pageSize+i*l.size:][:l.size]
	for n, p := range l.Planes {
		planes[n] = slot[p.Offset:][:p.Stride*p.Lines]
	}
	return planes
}

// Strides returns the bytes per line of each plane.
func (l Layout) Strides() (strides [3]int) {
	for i, p := range l.Planes {
		strides[i] = p.Stride
	}
	return strides
}
