// Package snapshot writes one picture to a PNG file.
package snapshot
