package transport

import (
	"errors"

	"github.com/tbcam/tbcam/capture"
)

// Cause is what keeps a stream from having frames, for a program to act on.
type Cause string

// The causes that have an error of their own.
const (
	NoCamera Cause = "no-camera" // the sender has none of that name, or none at all
	NoMode   Cause = "no-mode"   // the camera lacks the mode that was asked for
	Busy     Cause = "busy"      // another program holds the camera
)

// causes are the errors that a Cause carries to the peer.
var causes = [...]struct {
	cause Cause
	err   error
}{{NoCamera, capture.ErrNoCamera}, {NoMode, capture.ErrNoMode}, {Busy, capture.ErrBusy}}

// CauseOf returns the cause that an error wraps, "" for any other.
func CauseOf(err error) Cause {
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.cause
		}
	}
	return ""
}

// Err returns an error with a text that wraps what the cause stands for.
func (c Cause) Err(text string) error {
	for _, known := range causes {
		if known.cause == c {
			return &causeError{text, known.err}
		}
	}
	return errors.New(text)
}

type causeError struct {
	text string
	is   error
}

func (e *causeError) Error() string { return e.text }
func (e *causeError) Unwrap() error { return e.is }
