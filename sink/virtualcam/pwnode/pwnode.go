package pwnode

import (
	"fmt"
	"slices"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

// Name is that of the first node; others are Name-2 and so on.
const Name = "tbcam"

// maxNodes bounds how many there are.
const maxNodes = 16

// formats lists the pixel formats, the default first. A node has one for as long as it
// exists: the first reader's choice would shut out others, as browsers prefer
// different ones.
var formats = []capture.PixelFormat{capture.YUV420, capture.YUYV}

// Driver is that of PipeWire.
type Driver struct{}

// Formats implements virtualcam.Driver.
func (Driver) Formats() []capture.PixelFormat { return formats }

// Nodes implements virtualcam.Driver: nodes are named when they are opened, so there
// are those whose names nobody has.
func (Driver) Nodes(string) ([]virtualcam.NodeInfo, error) {
	used, err := pipewire.Names()
	if err != nil {
		return nil, fmt.Errorf("find a virtual camera: %w", err)
	}
	return freeNodes(used), nil
}

// freeNodes returns the nodes with names that are not used.
func freeNodes(used []string) (free []virtualcam.NodeInfo) {
	for i := range maxNodes {
		name := Name
		if i > 0 {
			name = fmt.Sprintf("%s-%d", Name, i+1)
		}
		if !slices.Contains(used, name) {
			free = append(free, virtualcam.NodeInfo{Path: name, Name: describe(name)})
		}
	}
	return free
}

// describe returns what applications show of a node before the far camera is known:
// they may have the v4l2loopback node of the same name, too.
func describe(name string) string { return name + " (PipeWire)" }

// Make implements virtualcam.Driver: there is nothing that could be made.
func (Driver) Make() error { return virtualcam.ErrNoneFree }

// Open implements virtualcam.Driver.
func (Driver) Open(name string, f capture.Format, r capture.Rate) (virtualcam.Node, error) {
	o, err := pipewire.OpenOutput(pipewire.Camera{Name: name, Description: describe(name), Format: f, Rate: r})
	if err != nil {
		return nil, &virtualcam.DriverError{Err: err} // any name could be used, or none
	}
	return &node{Output: o, users: make(chan int), closed: make(chan struct{})}, nil
}

// node is a node that is published.
type node struct {
	*pipewire.Output
	users    chan int
	closed   chan struct{}
	counting sync.WaitGroup
}

// Users implements virtualcam.Node. PipeWire reports whether anybody reads, and not
// how many do.
func (n *node) Users() (<-chan int, error) {
	n.counting.Go(n.countUsers)
	return n.users, nil
}

func (n *node) countUsers() {
	defer close(n.users)
	for ok := true; ok; _, ok = <-n.Changed() {
		users := 0
		if n.Streaming() {
			users = 1
		}
		select {
		case n.users <- users:
		case <-n.closed:
			return
		}
	}
}

// Close implements virtualcam.Node.
func (n *node) Close() error {
	close(n.closed)
	err := n.Output.Close()
	n.counting.Wait()
	return err
}
