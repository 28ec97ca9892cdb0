package container

import "errors"

// Errors about what a kind of recording cannot hold, of Kind.Check, Create and
// Stream.
var (
	// ErrJPEGOnly is returned for raw frames and a kind that holds JPEGs only.
	ErrJPEGOnly = errors.New("holds JPEGs only")
	// ErrNoCode is returned for a pixel format for which players know no code.
	ErrNoCode = errors.New("has no code that players know")
	// ErrNoAudio is returned for audio and a kind that holds frames only.
	ErrNoAudio = errors.New("has no place for audio")
	// ErrNotStreamable is returned by Stream for a kind that has to seek.
	ErrNotStreamable = errors.New("cannot be written to a stream")
)

// ErrFull is returned for an AVI file without room for another index.
var ErrFull = errors.New("an AVI file has room for 1 TiB")

// ErrBusy is returned for a recording that a Writer, or Repair, is changing.
var ErrBusy = errors.New("file is being recorded")

// Errors of Repair; ErrBusy is another.
var (
	// ErrNotRecording is returned for what no Writer of this package has made.
	ErrNotRecording = errors.New("not a recording of tbcam")
	// ErrNoFrame is returned for a recording without a single complete frame.
	ErrNoFrame = errors.New("no complete frame; there is nothing to repair")
	// ErrDamaged is returned where cutting the end off would lose good frames.
	ErrDamaged = errors.New("damaged far from its end")
)
