// Package record records the frames of a session as they come, into files that
// follow one another, and loses none while the disk is slow, full or away.
package record
