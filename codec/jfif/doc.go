// Package jfif reads JPEG files without decoding them, in pure Go: it parses their
// headers, repairs what webcams leave out or add, and splits plain MJPEG into
// frames. It is the only scanner of JPEG markers in tbcam; package codec decodes.
package jfif
