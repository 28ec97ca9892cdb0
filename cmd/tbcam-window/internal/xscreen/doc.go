// Package xscreen puts images that were drawn in memory into a window of this process,
// through the X server and past OpenGL, which without a graphics card costs ten times as
// much. The server reads the image from shared memory where it can (MIT-SHM).
package xscreen
