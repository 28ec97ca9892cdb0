// Package paint draws what the window writes over the frame, on images in
// memory: it needs no display.
package paint
