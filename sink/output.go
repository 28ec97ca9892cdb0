package sink

import (
	"errors"

	"github.com/tbcam/tbcam/capture"
)

// Output is one thing that a user asked for: a window, a virtual camera, a
// recording. A Fanout opens it, and opens it again when its sink has failed.
//
// What an output can do beside taking frames are the optional interfaces below; a
// Fanout asserts them.
type Output interface {
	// Name names the output in logs.
	Name() string
	// Takes returns which frames the output takes for now. It is called for each
	// frame, by any goroutine.
	Takes() Need
	Open() (Sink, error)
}

// NewOutput returns an output without any of the optional interfaces.
func NewOutput(name string, n Need, open func() (Sink, error)) Output {
	return &simpleOutput{name, n, open}
}

// simpleOutput is what NewOutput returns.
type simpleOutput struct {
	name string
	need Need
	open func() (Sink, error)
}

func (o *simpleOutput) Name() string        { return o.name }
func (o *simpleOutput) Takes() Need         { return o.need }
func (o *simpleOutput) Open() (Sink, error) { return o.open() }

// Sink is an open output. Its methods are called by one goroutine.
type Sink interface {
	// Present takes over the reference of a frame that others may hold too. After an
	// error the sink is closed; one that wraps ErrDone ends its output.
	Present(f *capture.Frame) error
	Close() error
}

// Listener is an Output of audio, beside the frames that it Takes: while Listens returns
// true, its sink is presented each block, in order. One that takes Every frame gets blocks
// from the caller of Fanout.Frame too. Others have a queue, in which a sink that is slow for
// a second loses blocks. Listens is called for each block, by any goroutine.
type Listener interface{ Listens() bool }

// ErrDone is returned by a sink that wants no more frames, for instance a
// snapshot that was taken: its output is not opened again.
var ErrDone = errors.New("sink is done")

// Notice is what an output shows while there is no frame; the zero value means that
// frames are to come.
type Notice struct {
	Heading string // such as "No signal"
	Detail  string // lines below it, for the user of this host
	Brief   string // what it waits for, in one line, for the readers of a virtual camera
}

// Noticer is an Output that shows notices. Notice must not wait.
type Noticer interface{ Notice(n Notice) }

// ModeListener is an Output that wants to know which camera the frames come from.
// ModeChanged must not wait.
type ModeListener interface {
	ModeChanged(camera string, mode capture.Mode)
}

// ControlsListener is an Output that shows the controls of the camera. The list is
// shared, and empty while there is no camera. ControlsChanged must not wait.
type ControlsListener interface {
	ControlsChanged(controls []capture.Control)
}

// ReceivedTaker is an Output of decoded frames that wants each frame as it came,
// too. TakeReceived takes over the reference and must not wait.
type ReceivedTaker interface{ TakeReceived(f *capture.Frame) }

// PresentedListener is an Output that is called after its sink has presented a
// frame of video, which the fan-out still owns.
type PresentedListener interface{ Presented(f *capture.Frame) }

// Superseder is an Output that counts frames which were presented to its sink, and
// superseded before anybody saw them.
type Superseder interface{ Superseded() uint64 }

// Reporter is an Output that counts what became of frames.
type Reporter interface{ Report() []Outcome }

// Outcome is what became of a number of frames.
type Outcome struct {
	Name  string
	Count uint64
}
