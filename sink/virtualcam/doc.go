// Package virtualcam republishes frames as a virtual camera that never breaks the
// applications that read it: it chooses the node and the format, keeps
// both, and has a frame at any time.
package virtualcam
