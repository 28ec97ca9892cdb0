// Package paint draws what the window writes over the picture, on images in
// memory: it needs no display.
package paint
