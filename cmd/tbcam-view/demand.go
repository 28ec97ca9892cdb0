package main

import (
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// demand asks the sender for frames while any sink needs them.
type demand struct {
	stream asker
	want   capture.Want
	// takesRaw reports whether no output has a use for JPEGs; nil for audio, which has none.
	takesRaw func() bool

	mu      sync.Mutex
	needs   int
	request uint32 // number of the last Start
}

// asker is a hub.Subscription.
type asker interface {
	Start(want capture.Want) (request uint32)
	SetRaw(raw bool)
	Stop()
}

// join asks for the camera in whichever mode it has, from now on.
func (d *demand) join() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = capture.Want{Camera: d.want.Camera}
	if d.needs > 0 {
		d.request = d.stream.Start(d.want)
	}
}

// isRequested reports whether a request is the last one.
func (d *demand) isRequested(request uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return request == d.request
}

// noteNeed notes that one more sink needs frames, or one less.
func (d *demand) noteNeed(yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.needs
	if yes {
		d.needs++
	} else {
		d.needs--
	}
	if d.takesRaw != nil {
		d.stream.SetRaw(d.takesRaw())
	}
	switch {
	case before == 0:
		d.request = d.stream.Start(d.want)
	case d.needs == 0:
		d.stream.Stop()
	}
}
