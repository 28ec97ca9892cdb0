package pwmic

import (
	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/sink/audio"
	"github.com/tbcam/tbcam/sink/virtualmic"
)

// Name is that of the virtual microphone.
const Name = "tbcam-mic"

// Microphone is the driver of a microphone that applications choose.
type Microphone struct {
	// Description is what applications show; "" for the name.
	Description string
}

// Open implements virtualmic.Driver.
func (d Microphone) Open(f capture.AudioFormat) (virtualmic.Node, error) {
	description := d.Description
	if description == "" {
		description = Name
	}
	return open(pipewire.AudioNode{Name: Name, Description: description, Microphone: true, Format: f})
}

// speakerName is the node of what is heard on this host.
const speakerName = "tbcam-listen"

// Speaker is the driver of the default sink.
type Speaker struct{}

// Open implements virtualmic.Driver.
func (Speaker) Open(f capture.AudioFormat) (virtualmic.Node, error) {
	return open(pipewire.AudioNode{Name: speakerName, Description: "tbcam-view", Format: f})
}

func open(n pipewire.AudioNode) (virtualmic.Node, error) {
	p, err := pipewire.OpenPlayer(n)
	if err != nil {
		return nil, err
	}
	return node{p}, nil
}

// node is a pipewire.Player as a virtualmic.Node.
type node struct{ *pipewire.Player }

// Write implements virtualmic.Node.
func (n node) Write(samples []byte) (audio.Level, error) {
	level, err := n.Player.Write(samples)
	return audio.Level(level), err
}
