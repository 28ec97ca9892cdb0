// Package controls is the panel with the camera's controls: a list that keys and
// the mouse change, drawn on an image in memory.
package controls
