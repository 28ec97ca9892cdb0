package pattern

import (
	"context"

	"github.com/tbcam/tbcam/capture"
)

// Microphones is the test microphone, which is always there.
type Microphones struct{}

// Devices lists the test microphone.
func (Microphones) Devices() ([]capture.Device, error) {
	return []capture.Device{{Kind: capture.Audio, Path: Name, Name: "Test microphone", Driver: Name, Bus: Name, Channels: 1, Test: true}}, nil
}

// Open starts the test microphone, in mono.
func (Microphones) Open(_ capture.Device, pool *capture.Pool) (capture.Source, error) {
	return OpenMicrophone(capture.Mono, pool)
}

// Watch returns nil: the test microphone never goes away.
func (Microphones) Watch(context.Context) (<-chan struct{}, error) { return nil, nil }
