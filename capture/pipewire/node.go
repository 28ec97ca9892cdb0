package pipewire

/*
#include "pipewire.h"
*/
import "C"

// node is a node of class Video/Source, or Audio/Source.
type node struct {
	id          uint32
	serial      string // that no other object ever has
	name        string // which several may have
	description string
	api         string // of its device: v4l2, libcamera, alsa, or "" for a program's
	audio       bool
	channels    int // of audio, 0 where that is not known
}

func newNode(n *C.struct_tb_node) node {
	return node{
		id: uint32(n.id), serial: C.GoString(&n.serial[0]), name: C.GoString(&n.name[0]),
		description: C.GoString(&n.description[0]), api: C.GoString(&n.api[0]),
		audio: bool(n.audio), channels: int(n.channels),
	}
}

// Names returns the names of all nodes that are cameras. The error is why PipeWire
// cannot be asked.
func Names() ([]string, error) {
	c, err := connect()
	if err != nil {
		return nil, err
	}
	defer c.close()
	var names []string
	for _, n := range c.nodes() {
		if !n.audio {
			names = append(names, n.name)
		}
	}
	return names, nil
}
