package v4l2

import (
	"unsafe"

	"github.com/blackjack/webcam"
)

// multiPlanar is the enumerator for devices with the multi-planar API alone, which
// the library refuses.
type multiPlanar struct{ fd int }

// maxEntries bounds a list for a driver that never ends it.
const maxEntries = 256

// GetSupportedFormats returns the codes of the formats, without descriptions.
func (m multiPlanar) GetSupportedFormats() map[webcam.PixelFormat]string {
	formats := make(map[webcam.PixelFormat]string)
	for i := range uint32(maxEntries) {
		d := fmtDesc{index: i, typ: bufTypeVideoCaptureMPlane}
		if callDriver(m.fd, vidiocEnumFmt, unsafe.Pointer(&d)) != nil {
			break
		}
		formats[webcam.PixelFormat(d.pixelFormat)] = ""
	}
	return formats
}

// GetSupportedFrameSizes returns the sizes of a format.
func (m multiPlanar) GetSupportedFrameSizes(pixel webcam.PixelFormat) []webcam.FrameSize {
	var sizes []webcam.FrameSize
	for i := range uint32(maxEntries) {
		e := frmSizeEnum{index: i, pixelFormat: uint32(pixel)}
		if callDriver(m.fd, vidiocEnumFrameSizes, unsafe.Pointer(&e)) != nil {
			break
		}
		r := e.stepwise
		if e.typ == frmSizeTypeDiscrete { // width and height are the first members of the union
			width, height := r.minWidth, r.maxWidth
			sizes = append(sizes, webcam.FrameSize{MinWidth: width, MaxWidth: width, MinHeight: height, MaxHeight: height})
			continue
		}
		return append(sizes, webcam.FrameSize{
			MinWidth: r.minWidth, MaxWidth: r.maxWidth, StepWidth: r.stepWidth,
			MinHeight: r.minHeight, MaxHeight: r.maxHeight, StepHeight: r.stepHeight,
		})
	}
	return sizes
}

// GetSupportedFramerates returns the intervals of a format and size.
func (m multiPlanar) GetSupportedFramerates(pixel webcam.PixelFormat, width, height uint32) []webcam.FrameRate {
	var rates []webcam.FrameRate
	for i := range uint32(maxEntries) {
		e := frmIvalEnum{index: i, pixelFormat: uint32(pixel), width: width, height: height}
		if callDriver(m.fd, vidiocEnumFrameIntervals, unsafe.Pointer(&e)) != nil {
			break
		}
		shortest, longest := e.stepwise.min, e.stepwise.max
		if e.typ == frmIvalTypeDiscrete {
			longest = shortest
		}
		rates = append(rates, webcam.FrameRate{
			MinNumerator: shortest.numerator, MinDenominator: shortest.denominator,
			MaxNumerator: longest.numerator, MaxDenominator: longest.denominator,
		})
		if e.typ != frmIvalTypeDiscrete {
			break
		}
	}
	return rates
}
