package virtualcam

import (
	"errors"
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// Auto selects a node by itself.
const Auto = "auto"

// Errors of drivers and nodes, which theirs wrap.
var (
	// ErrInUse: another program writes to the node.
	ErrInUse = errors.New("another program writes to it")
	// ErrFormat: the node does not take the format, or not this frame.
	ErrFormat = errors.New("node does not take the format")
	// ErrNoneFree: there is no node, or programs write to all of them.
	ErrNoneFree = errors.New("find a virtual camera: no node is free")
)

// FormatError is an ErrFormat of Driver.Open that knows which format the node keeps.
type FormatError struct{ Asked, Keeps capture.Format }

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%v: %v was asked, it keeps %v", ErrFormat, e.Asked, e.Keeps)
}

// Unwrap makes it an ErrFormat.
func (e *FormatError) Unwrap() error { return ErrFormat }

// DriverError is an error of Driver.Open that any other node would have, too.
type DriverError struct{ Err error }

// Error implements error.
func (e *DriverError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *DriverError) Unwrap() error { return e.Err }

// Driver finds, makes and opens the nodes of one kind; v4l2node.Driver is one.
type Driver interface {
	// Formats lists the pixel formats that its nodes can have, the default first.
	Formats() []capture.PixelFormat
	// Nodes returns the nodes that a name means, which may be Auto, the best first.
	Nodes(name string) ([]NodeInfo, error)
	// Make makes another node, where that is allowed.
	Make() error
	// Open opens a node to write frames of a format. The error wraps ErrInUse or
	// ErrFormat where that is the reason, and is a DriverError where no other node is worth
	// a try.
	Open(path string, f capture.Format, r capture.Rate) (Node, error)
}

// NodeInfo describes a node that is not open.
type NodeInfo struct {
	Path   string
	Name   string
	Format capture.Format // that the node holds; zero if the next writer may choose
	// Warning is what users may not expect of the node, "" for nothing.
	Warning string
}

// Node is an open virtual camera device.
type Node interface {
	// Write gives a frame to the applications that read; it does not keep it.
	Write(f *capture.Frame) error
	// Users returns where the number of applications that read comes from whenever it
	// changes, until Close; an error means that the driver does not count them.
	Users() (<-chan int, error)
	Close() error
}

// Describer is a Node whose name applications show, and which can change while they read.
type Describer interface{ Describe(text string) error }

// Keeper is a Node whose readers may keep all buffers: it counts the frames that were
// dropped for that.
type Keeper interface{ Kept() uint64 }

// noDriver is used where no driver is given.
type noDriver struct{}

var errNoDriver = errors.New("find a virtual camera: no driver was given")

func (noDriver) Formats() []capture.PixelFormat   { return Formats }
func (noDriver) Nodes(string) ([]NodeInfo, error) { return nil, errNoDriver }
func (noDriver) Make() error                      { return errNoDriver }
func (noDriver) Open(string, capture.Format, capture.Rate) (Node, error) {
	return nil, errNoDriver
}
