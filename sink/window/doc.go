// Package window shows frames in a window, which is a process of its own: a
// crash in a graphics driver stops neither a call nor a recording.
package window
