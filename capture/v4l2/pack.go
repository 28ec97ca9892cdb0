package v4l2

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// packing copies pictures out of a driver's buffers without the padding that
// the driver has after its lines.
type packing struct {
	planes []paddedPlane
	need   int // bytes of a whole picture in the driver's buffer, less the last padding
}

type paddedPlane struct {
	to     capture.Plane
	offset int // in the driver's buffer
	stride int // bytes from line to line there
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
		p.planes = append(p.planes, paddedPlane{to, offset, stride})
		p.need = offset + stride*(to.Lines-1) + to.Stride
		offset += stride * to.Lines
	}
	return p, nil
}

// pack fills the picture dst from the driver's buffer src.
func (p *packing) pack(dst, src []byte) {
	for _, plane := range p.planes {
		to, from := dst[plane.to.Offset:], src[plane.offset:]
		if plane.stride == plane.to.Stride {
			copy(to[:plane.stride*plane.to.Lines], from)
			continue
		}
		for line := range plane.to.Lines {
			copy(to[line*plane.to.Stride:][:plane.to.Stride], from[line*plane.stride:])
		}
	}
}
