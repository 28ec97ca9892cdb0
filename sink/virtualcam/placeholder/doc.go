// Package placeholder draws the picture that a virtual camera shows while there is
// none: a text that says what it waits for.
package placeholder
