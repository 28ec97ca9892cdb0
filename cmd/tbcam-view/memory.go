package main

import (
	"runtime/debug"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/sink/record"
)

// framesLimit bounds the frames on their way to the sinks, in bytes: 4.5 of the
// largest. A peer chooses their size; those that have no room are dropped.
const framesLimit = capture.MaxFrame * 9 / 2

// otherMemory is what the rest of the heap may take in bytes.
const otherMemory = 64 << 20

// limitMemory bounds the memory of the process, and returns how much of that frames
// may take.
func (o *options) limitMemory() (frames int) {
	frames = framesLimit + o.record.bufferMemory() + hub.ClientMemory
	debug.SetMemoryLimit(int64(frames + otherMemory))
	return frames
}

// window returns how many frames may be on their way from the tbcam-view that has the
// line: for a recorder as many as its memory has room for, 0 for a live view.
func (r *recordFlags) window() int {
	const usual = 1 << 20 // bytes of a frame
	if r.path == "" {
		return 0
	}
	return max(r.bufferMemory()/usual, 3)
}

// bufferMemory returns how many bytes of frames a recorder may hold.
func (r *recordFlags) bufferMemory() int {
	size, err := record.ParseSize(r.buffer)
	switch {
	case err != nil || r.path == "": // reported elsewhere
		return 0
	case r.preRoll != "":
		return int(2 * size)
	}
	return int(size)
}
