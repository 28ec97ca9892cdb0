package virtualmic

import (
	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/audio"
)

// Driver opens nodes; pwmic has two.
type Driver interface {
	// Open opens a node that plays samples of a format.
	Open(f capture.AudioFormat) (Node, error)
}

// Node plays samples. It has a queue, from which it takes them by its own clock.
type Node interface {
	// Write copies samples behind those that wait, and returns how many do. It never waits.
	Write(samples []byte) (audio.Level, error)
	// Adjust has samples taken at a rate, where 1 is that of the server, and so many more of
	// them wait than its cycles need.
	Adjust(rate float64, margin int)
	// Changed receives when Streaming or Err may have changed. It is closed by Close.
	Changed() <-chan struct{}
	// Streaming reports whether somebody listens.
	Streaming() bool
	// Err returns why the node is lost, nil while it is not.
	Err() error
	Close() error
}
