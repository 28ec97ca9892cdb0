package window

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// planarFormat is the default of Options.Planar.
func planarFormat(f capture.Format) capture.Format {
	if info := f.Pixel.Info(); info.Layout == capture.Planar {
		f.Pixel = info.Planar
	}
	return f
}

// copyPlanes is the default of Options.Convert, for planar formats.
func copyPlanes(dst [3][]byte, strides [3]int, f *capture.Frame) error {
	planes, n := f.Format.Planes()
	if len(f.Data) < f.Format.Size() {
		return fmt.Errorf("%d bytes are too few", len(f.Data))
	}
	if f.Format.Pixel.Info().CrFirst {
		planes[1], planes[2] = planes[2], planes[1]
	}
	for i, p := range planes[:n] {
		for y := range p.Lines {
			copy(dst[i][y*strides[i]:], f.Data[p.Offset+y*p.Stride:][:p.Stride])
		}
	}
	return nil
}
