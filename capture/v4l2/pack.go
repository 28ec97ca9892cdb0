package v4l2

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// maxBuffers is how many buffers a frame has at most: one for each plane.
const maxBuffers = 3

// packing copies frames out of a driver's buffers without the padding that the
// driver has after its lines.
type packing struct {
	planes []paddedPlane
	need   [maxBuffers]int // bytes of a whole frame in each buffer, less the last padding
}

type paddedPlane struct {
	to     capture.Plane
	buffer int // of the frame's
	offset int // in that
	stride int // bytes from line to line there
}

// newPackingOf lays out the planes of a frame that has as many buffers as there
// are strides.
func newPackingOf(f capture.Format, strides []int) (packing, error) {
	planes, n := f.Planes()
	switch {
	case len(strides) == 1:
		return newPacking(f, strides[0])
	case len(strides) != n:
		return packing{}, fmt.Errorf("%v has %d planes, the driver gives %d buffers", f, n, len(strides))
	}
	var p packing
	for i, to := range planes[:n] {
		if strides[i] < to.Stride {
			return p, fmt.Errorf("plane %d of %v has %d bytes per line, the driver gives %d", i, f, to.Stride, strides[i])
		}
		p.planes = append(p.planes, paddedPlane{to: to, buffer: i, stride: strides[i]})
		p.need[i] = strides[i]*(to.Lines-1) + to.Stride
	}
	return p, nil
}

// newPacking lays out the planes of a raw format as the kernel does: the strides
// of the further planes follow from bytesPerLine, that of the first
// (Documentation/userspace-api/media/v4l/pixfmt-v4l2.rst).
func newPacking(f capture.Format, bytesPerLine int) (p packing, err error) {
	planes, n := f.Planes()
	if bytesPerLine < planes[0].Stride {
		return p, fmt.Errorf("%v has %d bytes per line, the driver gives %d: choose an even width",
			f, planes[0].Stride, bytesPerLine)
	}
	// At a size that every subsampling divides, strides are in their ratio.
	ratio, _ := capture.Format{Pixel: f.Pixel, Width: 4, Height: 4}.Planes()
	offset := 0
	for i, to := range planes[:n] {
		stride := bytesPerLine * ratio[i].Stride / ratio[0].Stride
		if stride < to.Stride {
			return p, fmt.Errorf("%v has planes that the driver lays out otherwise: choose an even width", f)
		}
		p.planes = append(p.planes, paddedPlane{to: to, offset: offset, stride: stride})
		p.need[0] = offset + stride*(to.Lines-1) + to.Stride
		offset += stride * to.Lines
	}
	return p, nil
}

// packFrame fills the frame dst from the driver's buffers src.
func (p *packing) packFrame(dst []byte, src [maxBuffers][]byte) {
	for _, plane := range p.planes {
		to, from := dst[plane.to.Offset:], src[plane.buffer][plane.offset:]
		if plane.stride == plane.to.Stride {
			// Without padding, the usual case, the plane is copied in one piece.
			copy(to[:plane.stride*plane.to.Lines], from)
			continue
		}
		for line := range plane.to.Lines {
			copy(to[line*plane.to.Stride:][:plane.to.Stride], from[line*plane.stride:])
		}
	}
}
