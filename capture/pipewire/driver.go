package pipewire

/*
#include "pipewire.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
)

// Driver is the cameras that only PipeWire has: those of libcamera, and those that
// programs publish. V4L2 devices are left to the driver that reads them directly, and
// tbcam's own nodes are not cameras. Where there is no PipeWire it lists none.
type Driver struct{}

var _ capture.Driver = Driver{}

// scheme is in front of the names of nodes, in the paths of devices.
const scheme = "pipewire:"

// ownName is the beginning of the names of the nodes that tbcam publishes.
const ownName = "tbcam"

// Name returns "pipewire".
func (Driver) Name() string { return "pipewire" }

// isCamera reports whether a node is one that only PipeWire has.
func (n *node) isCamera() bool {
	return !n.audio && n.api != "v4l2" && !n.isOwn() && n.name != ""
}

// isOwn reports whether a node is one that tbcam publishes.
func (n *node) isOwn() bool { return n.name == ownName || strings.HasPrefix(n.name, ownName+"-") }

// isMissing reports whether an error means that there is no PipeWire, which is no
// fault: its cameras then are not there either.
func isMissing(err error) bool {
	return errors.Is(err, ErrNoLibrary) || errors.Is(err, ErrNoSession) || errors.Is(err, ErrNotRunning)
}

// Devices lists the cameras, with their modes and controls.
func (Driver) Devices() ([]capture.Device, error) {
	return listDevices(func(c *conn) (devices []capture.Device) {
		for _, n := range c.cameras() {
			if d, err := c.describe(n); err == nil { // else it has gone
				devices = append(devices, d)
			}
		}
		return devices
	})
}

// listDevices returns what list finds at PipeWire; where there is none, nothing.
func listDevices(list func(*conn) []capture.Device) ([]capture.Device, error) {
	c, err := connect()
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.close()
	return list(c), nil
}

// cameras returns the nodes that are cameras, in the order in which they came.
func (c *conn) cameras() []node {
	nodes := slices.DeleteFunc(c.nodes(), func(n node) bool { return !n.isCamera() })
	slices.SortFunc(nodes, func(a, b node) int { return int(a.id) - int(b.id) })
	return nodes
}

// describe asks a node what it can do.
func (c *conn) describe(n node) (capture.Device, error) {
	raw := C.struct_tb_node{id: C.uint32_t(n.id)}
	res := C.tb_conn_describe(c.c, &raw, answerMS)
	defer C.tb_node_free(&raw)
	if res < 0 {
		return capture.Device{}, explain("describe "+n.name, int(res))
	}
	d := capture.Device{
		Path: c.pathOf(n), Name: n.description, Driver: "pipewire", Bus: scheme + n.name,
		Modes:    modesOf(unsafe.Slice(raw.modes, raw.n_modes)),
		Controls: controlsOf(unsafe.Slice(raw.controls, raw.n_controls)),
	}
	if n.api != "" {
		d.Driver = n.api
	}
	if d.Name == "" {
		d.Name = n.name
	}
	return d, nil
}

// pathOf returns the path of a node: by its name, which stays, and where others have that
// too, with its serial number, which does not.
func (c *conn) pathOf(n node) string {
	for _, other := range c.nodes() {
		if other.name == n.name && other.serial != n.serial {
			return scheme + n.name + "#" + n.serial
		}
	}
	return scheme + n.name
}

// find returns the node of a device.
func (c *conn) find(d capture.Device) (node, error) {
	for _, n := range c.cameras() {
		if scheme+n.name == d.Path || scheme+n.name+"#"+n.serial == d.Path {
			return n, nil
		}
	}
	return node{}, fmt.Errorf("%w: %s", capture.ErrNoCamera, d.Path)
}

// Find returns the device of that path or name, whole or in part; the first one for "".
func (d Driver) Find(name string) (capture.Device, error) {
	devices, err := d.Devices()
	switch {
	case err != nil:
		return capture.Device{}, err
	case len(devices) == 0:
		return capture.Device{}, capture.ErrNoneFound
	case name == "":
		return devices[0], nil
	}
	found, err := capture.FindDevice(devices, name)
	if err != nil && !errors.Is(err, capture.ErrAmbiguous) {
		err = fmt.Errorf("%w; there is %s", err, strings.Join(namesOf(devices), ", "))
	}
	return found, err
}

func namesOf(devices []capture.Device) (names []string) {
	for _, d := range devices {
		names = append(names, fmt.Sprintf("%s (%s)", d.Path, d.Name))
	}
	return names
}

// FindAgain returns the device after it was gone: the node of the same name.
func (d Driver) FindAgain(gone capture.Device) (capture.Device, error) {
	devices, err := d.Devices()
	if err != nil {
		return capture.Device{}, err
	}
	named := slices.DeleteFunc(devices, func(d capture.Device) bool { return d.Bus != gone.Bus })
	return capture.FindAgain(gone, named)
}

// Open starts a device in the mode nearest to the one asked for that it grants.
func (Driver) Open(d capture.Device, mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	s, err := open(d, mode, pool)
	if err != nil {
		return nil, err // and no nil *Source
	}
	return s, nil
}

// reconnect is the time between two attempts to reach a PipeWire that is gone. It
// doubles up to reconnectMost while there is none: most hosts that have none never will.
const (
	reconnect     = time.Second
	reconnectMost = 4 * time.Second
)

// Watch returns a channel that receives when cameras came or went, with PipeWire itself
// too; nil where its library is not installed.
func (Driver) Watch(ctx context.Context) (<-chan struct{}, error) {
	return watch(ctx, (*conn).cameraSerials)
}

// watch returns a channel that receives when a state of the connection has changed.
func watch(ctx context.Context, state func(*conn) []string) (<-chan struct{}, error) {
	if load() != nil {
		return nil, nil
	}
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		for wait := reconnect; ctx.Err() == nil; wait = min(2*wait, reconnectMost) {
			if watchOnce(ctx, changes, state) {
				wait = reconnect
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}()
	return changes, nil
}

// watchOnce reports changes until the connection is lost, and whether there was one.
func watchOnce(ctx context.Context, changes chan<- struct{}, state func(*conn) []string) (connected bool) {
	c, err := connect()
	if err != nil {
		return false
	}
	defer c.close()
	defer context.AfterFunc(ctx, c.interrupt)()
	var before []string
	for first := true; C.tb_conn_error(c.c) == 0; first = false {
		now := state(c)
		if first && len(now) > 0 || !first && !slices.Equal(before, now) {
			notify(changes)
		}
		before = now
		if !c.wait() {
			return true
		}
	}
	notify(changes) // all are gone
	return true
}

func (c *conn) cameraSerials() (serials []string) {
	for _, n := range c.cameras() {
		serials = append(serials, n.serial)
	}
	return serials
}

func notify(changes chan<- struct{}) {
	select {
	case changes <- struct{}{}:
	default:
	}
}
