package virtualcam

import (
	"slices"

	"github.com/tbcam/tbcam/capture"
)

// The size of the frames that is used by default.
const (
	defaultWidth  = 1280
	defaultHeight = 720
)

// Formats lists the pixel formats that any virtual camera can have: all of them
// Chromium knows, and the first one everything does.
var Formats = []capture.PixelFormat{capture.YUYV, capture.YUV420, capture.MJPEG}

// FormatNames returns their names as users type them.
func FormatNames() []string {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = f.String()
	}
	return names
}

// formats returns those of the driver.
func (o *Options) formats() []capture.PixelFormat {
	if o.Driver == nil {
		return Formats
	}
	return o.Driver.Formats()
}

// chooseFormat returns the format of a node that holds the format former, if any: an
// application may be reading that. What was asked for goes before it, and the
// camera's wanted size after it.
func (o *Options) chooseFormat(former capture.Format) capture.Format {
	if !isUsable(former) {
		former = capture.Format{}
	}
	can := o.formats()
	f := capture.Format{Pixel: can[0], Width: defaultWidth, Height: defaultHeight}
	for _, wish := range []capture.Format{o.Want, former, o.Format} {
		if slices.Contains(can, wish.Pixel) {
			f.Pixel = wish.Pixel
		}
		if wish.Width != 0 {
			f.Width, f.Height = wish.Width, wish.Height
		}
	}
	// Chromium refuses odd widths, and applications take Y'CbCr for limited.
	f.Width, f.Height = max(2, f.Width&^1), max(2, f.Height&^1)
	if f.Pixel.Compressed() {
		f.Range = capture.Full
	}
	return f
}

// isUsable reports whether a format that a node holds is one that tbcam would choose.
func isUsable(f capture.Format) bool {
	return slices.Contains(Formats, f.Pixel) && f.Width > 0 && f.Height > 0 && (f.Width|f.Height)&1 == 0
}
