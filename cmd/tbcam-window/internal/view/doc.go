// Package view computes where a frame appears in a window, and in which colours:
// the arithmetic of the window, without a display.
package view
