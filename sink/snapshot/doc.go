// Package snapshot writes one frame to a PNG or JPEG file.
package snapshot
