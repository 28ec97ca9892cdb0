// Package placeholder draws the frame that a virtual camera shows while there is
// none: a text about what it waits for.
package placeholder
