// Package snapshot writes one picture to a PNG or JPEG file.
package snapshot
