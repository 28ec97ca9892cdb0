package v4l2

import (
	"maps"
	"regexp"
	"slices"
	"unsafe"

	"github.com/blackjack/webcam"

	"github.com/tbcam/tbcam/capture"
)

// size is a frame size in pixels.
type size struct{ width, height uint32 }

// Where a driver takes any size or rate in a range, these are offered.
var (
	standardSizes = []size{
		{160, 120}, {320, 180}, {320, 240}, {352, 288}, {640, 360}, {640, 480}, {800, 600}, {960, 540},
		{1024, 768}, {1280, 720}, {1280, 960}, {1600, 1200}, {1920, 1080}, {2560, 1440}, {3840, 2160},
	}
	standardRates = []uint32{5, 10, 15, 20, 24, 25, 30, 50, 60, 90, 120} // frames per second
)

// listModes lists every combination of format, size and rate: formats in the order of
// their codes, as the library forgets the driver's order, sizes and rates as the
// driver lists them.
func listModes(fd int, bufType uint32, cam enumerator) []capture.Mode {
	var modes []capture.Mode
	formats := cam.GetSupportedFormats()
	for _, pixel := range slices.Sorted(maps.Keys(formats)) {
		joined := capture.PixelFormat(pixel).Joined()
		if _, both := formats[webcam.PixelFormat(joined)]; both && joined != capture.PixelFormat(pixel) {
			continue
		}
		for _, s := range listSizes(fd, bufType, cam, pixel) {
			for _, rate := range listRates(fd, cam, pixel, s) {
				modes = append(modes, capture.Mode{Pixel: joined, Width: int(s.width), Height: int(s.height), Rate: rate})
			}
		}
	}
	return modes
}

// listSizes lists the sizes of a format, the current one where the driver lists
// none.
func listSizes(fd int, bufType uint32, cam enumerator, pixel webcam.PixelFormat) []size {
	var sizes []size
	received := receivedSize(fd)
	for _, s := range cam.GetSupportedFrameSizes(pixel) {
		switch s {
		case webcam.FrameSize{}: // a continuous range, which the library does not read
			sizes = append(sizes, sizesIn(continuousSizes(fd, pixel), received)...)
		default:
			sizes = append(sizes, sizesIn(s, received)...)
		}
	}
	if len(sizes) == 0 {
		if pix, err := getCaptureFmt(fd, bufType); err == nil && pix.width > 0 {
			sizes = append(sizes, size{pix.width, pix.height})
		}
	}
	return sizes
}

// sizesIn returns the sizes of an entry that are offered: of a range only the one
// that a grabber receives, as scaling adds nothing.
func sizesIn(r webcam.FrameSize, received size) []size {
	if r.MinWidth != r.MaxWidth && received.width >= r.MinWidth && received.width <= r.MaxWidth &&
		received.height >= r.MinHeight && received.height <= r.MaxHeight {
		return []size{received}
	}
	return standardSizesIn(r)
}

// standardSizesIn returns the one size of a discrete entry, or the standard sizes
// in a range that lie on its steps.
func standardSizesIn(r webcam.FrameSize) []size {
	if r.MinWidth == r.MaxWidth && r.MinHeight == r.MaxHeight {
		return []size{{r.MaxWidth, r.MaxHeight}}
	}
	on := func(v, low, high, step uint32) bool {
		return v >= low && v <= high && (step == 0 || (v-low)%step == 0)
	}
	var in []size
	for _, s := range standardSizes {
		if on(s.width, r.MinWidth, r.MaxWidth, r.StepWidth) && on(s.height, r.MinHeight, r.MaxHeight, r.StepHeight) {
			in = append(in, s)
		}
	}
	return in
}

func continuousSizes(fd int, pixel webcam.PixelFormat) webcam.FrameSize {
	e := frmSizeEnum{pixelFormat: uint32(pixel)}
	if callDriver(fd, vidiocEnumFrameSizes, unsafe.Pointer(&e)) != nil {
		return webcam.FrameSize{}
	}
	return webcam.FrameSize{
		MinWidth: e.stepwise.minWidth, MaxWidth: e.stepwise.maxWidth, StepWidth: 1,
		MinHeight: e.stepwise.minHeight, MaxHeight: e.stepwise.maxHeight, StepHeight: 1,
	}
}

// listRates lists the rates of a format and size; one that is not known where
// the driver lists none.
func listRates(fd int, cam enumerator, pixel webcam.PixelFormat, s size) []capture.Rate {
	var rates []capture.Rate
	for _, r := range cam.GetSupportedFramerates(pixel, s.width, s.height) {
		shortest := fract{r.MinNumerator, r.MinDenominator}
		longest := fract{r.MaxNumerator, r.MaxDenominator}
		rates = append(rates, standardRatesIn(shortest, longest)...)
	}
	if len(rates) == 0 {
		rates = continuousRates(fd, pixel, s)
	}
	if len(rates) == 0 {
		rates = []capture.Rate{{}}
	}
	return rates
}

// standardRatesIn returns the one rate of a discrete entry, or the standard rates
// in a range of intervals, or the highest rate where none of them is in it.
func standardRatesIn(shortest, longest fract) []capture.Rate {
	fits := func(fps uint32) bool {
		return uint64(shortest.numerator)*uint64(fps) <= uint64(shortest.denominator) &&
			uint64(longest.numerator)*uint64(fps) >= uint64(longest.denominator)
	}
	var in []capture.Rate
	for _, fps := range standardRates {
		if shortest != longest && fits(fps) {
			in = append(in, capture.Rate{Num: fps, Den: 1})
		}
	}
	if len(in) == 0 {
		in = append(in, rateOf(shortest))
	}
	return in
}

// continuousRates reads a continuous range of intervals, which the library does
// not.
func continuousRates(fd int, pixel webcam.PixelFormat, s size) []capture.Rate {
	e := frmIvalEnum{pixelFormat: uint32(pixel), width: s.width, height: s.height}
	if callDriver(fd, vidiocEnumFrameIntervals, unsafe.Pointer(&e)) != nil || e.typ != frmIvalTypeContinuous {
		return nil
	}
	return standardRatesIn(e.stepwise.min, e.stepwise.max)
}

// bayer matches the codes of raw sensor data, one colour per pixel
// (videodev2.h, "Bayer formats"; include/uapi/linux/intel-ipu3.h).
var bayer = regexp.MustCompile(`^(BA81|GBRG|GRBG|RGGB|BYR2|BD10|[BGR][ABGR]1[0246]|p[BGgR](AA|CC|EE)|[ab][BGgR]A8|ip3.)$`)

func isBayer(p capture.PixelFormat) bool { return bayer.MatchString(p.FourCC()) }

// infrared matches the codes of cameras that see infrared or depth: brightness alone
// (videodev2.h, "Grey formats" and "Depth formats").
var infrared = regexp.MustCompile(`^(GREY|Y0[46] |Y1[0246].|Y8I |Z16 |CNF4|INZI)$`)

// isInfrared reports whether modes have no other format than brightness alone, as
// those of the sensors for face recognition in laptops do.
func isInfrared(modes []capture.Mode) bool {
	return len(modes) > 0 && !slices.ContainsFunc(modes, func(m capture.Mode) bool { return !infrared.MatchString(m.Pixel.FourCC()) })
}
