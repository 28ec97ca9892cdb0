// Package record records frames to files as they come, and loses none while the
// disk is slow, full or away.
//
// A Recorder takes over frames without blocking. One goroutine writes them to a
// file, or to files that follow one another by time, size or format; package
// container has the bytes of each kind. A frame stays in memory until it is on the
// disk, so that after an error it goes to the same file or to another one.
package record
