// Package inherited takes the socket to tbcam-view before ebiten is initialised.
package inherited
