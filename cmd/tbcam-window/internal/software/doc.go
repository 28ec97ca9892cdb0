// Package software is the window without a graphics card: what it shows is drawn in
// memory and put on the screen by package xscreen, while ebiten, which is not woken for
// a frame, has the keys and the mouse.
package software
