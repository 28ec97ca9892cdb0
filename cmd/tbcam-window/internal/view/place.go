package view

// Fit returns the largest size of the aspect of width x height within maxWidth x
// maxHeight; all are at least 1.
func Fit(width, height, maxWidth, maxHeight float64) (w, h float64) {
	scale := min(maxWidth/width, maxHeight/height)
	return max(1, width*scale), max(1, height*scale)
}

// Letterbox returns the place of a frame in a screen of whole pixels: as large
// as it fits, in the middle.
func Letterbox(width, height, screenWidth, screenHeight int) (x, y, w, h int) {
	fw, fh := Fit(float64(width), float64(height), float64(screenWidth), float64(screenHeight))
	w, h = int(fw+0.5), int(fh+0.5)
	return (screenWidth - w) / 2, (screenHeight - h) / 2, w, h
}

// shrink is how much of a monitor a new window takes at most: there are panels
// and title bars.
const shrink = 0.9

// WindowSize returns the size of a new window: a pixel of the frame on each
// pixel of the monitor if that fits. Sizes of the window and the monitor are in
// device-independent pixels, of which each is scale pixels wide.
func WindowSize(width, height, monitorWidth, monitorHeight int, scale float64) (w, h int) {
	fw, fh := float64(width)/scale, float64(height)/scale
	maxWidth, maxHeight := shrink*float64(monitorWidth), shrink*float64(monitorHeight)
	if fw > maxWidth || fh > maxHeight {
		fw, fh = Fit(fw, fh, maxWidth, maxHeight)
	}
	return int(fw + 0.5), int(fh + 0.5)
}
