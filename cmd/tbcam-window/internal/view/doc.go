// Package view says where a picture appears in a window, and in which colours:
// the arithmetic of the window, without a display.
package view
