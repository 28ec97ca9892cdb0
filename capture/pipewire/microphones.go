package pipewire

/*
#include "pipewire.h"
*/
import "C"

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tbcam/tbcam/capture"
)

// Microphones is the microphones that PipeWire has, but for those that tbcam publishes.
// Where there is no PipeWire it lists none.
type Microphones struct{}

// Devices lists the microphones, the default source first.
func (Microphones) Devices() ([]capture.Device, error) {
	return listDevices(func(c *conn) (devices []capture.Device) {
		for _, n := range c.microphones() {
			devices = append(devices, capture.Device{
				Kind: capture.Audio, Path: c.pathOf(n), Name: cmp.Or(n.description, n.name),
				Driver: cmp.Or(n.api, "pipewire"), Bus: scheme + n.name, Channels: n.channels,
			})
		}
		return devices
	})
}

// Open starts to read a microphone, in stereo where it has more than one channel. It does
// not follow the default source: another one is opened in its place.
func (Microphones) Open(d capture.Device, pool *capture.Pool) (capture.Source, error) {
	format := capture.Mono
	if d.Channels > 1 {
		format = capture.Stereo
	}
	target, err := findMicrophone(d.Path)
	if err != nil {
		return nil, err
	}
	m, err := OpenMicrophone(target, format, pool)
	if err != nil {
		return nil, err // and no nil *Microphone
	}
	return m, nil
}

// findMicrophone returns what a microphone of a path is opened by: its serial number, since
// several may have its name.
func findMicrophone(path string) (target string, err error) {
	c, err := connect()
	if err != nil {
		return "", fmt.Errorf("open microphone: %w", err)
	}
	defer c.close()
	for _, n := range c.microphones() {
		if c.pathOf(n) == path {
			return n.serial, nil
		}
	}
	return "", fmt.Errorf("open microphone: %w: %s", capture.ErrNoMicrophone, path)
}

// Watch returns a channel that receives when microphones came or went, or another one is the
// default source; nil where the library of PipeWire is not installed.
func (Microphones) Watch(ctx context.Context) (<-chan struct{}, error) {
	return watch(ctx, func(c *conn) (serials []string) {
		for _, n := range c.microphones() {
			serials = append(serials, n.serial)
		}
		return serials
	})
}

// microphones returns the nodes that are microphones, the default source first.
func (c *conn) microphones() []node {
	first := c.defaultSource()
	nodes := slices.DeleteFunc(c.nodes(), func(n node) bool { return !n.audio || n.isOwn() || n.name == "" })
	slices.SortFunc(nodes, func(a, b node) int { return int(a.id) - int(b.id) })
	if i := slices.IndexFunc(nodes, func(n node) bool { return n.name == first }); i > 0 {
		chosen := nodes[i]
		nodes = slices.Insert(slices.Delete(nodes, i, i+1), 0, chosen)
	}
	return nodes
}

// defaultSource returns the name of the default source, "" where there is none.
func (c *conn) defaultSource() string {
	var text [320]C.char
	C.tb_conn_default(c.c, &text[0], C.size_t(len(text)))
	var source struct{ Name string }
	_ = json.Unmarshal([]byte(C.GoString(&text[0])), &source) // none, else
	return source.Name
}
