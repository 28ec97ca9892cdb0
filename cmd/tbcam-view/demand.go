package main

import (
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// demand asks the sender for frames while any sink needs them.
type demand struct {
	receiver asker
	want     capture.Want

	mu      sync.Mutex
	needs   int
	request uint32 // number of the last Start
}

// asker is a transport.ReceiverStream.
type asker interface {
	Start(want capture.Want) (request uint32)
	Stop()
	Keep(want capture.Want)
}

// ask wants another mode from now on. It returns the number of the request, and
// false if no frames are needed: then nothing is requested.
func (d *demand) ask(want capture.Want) (request uint32, needed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = want
	if d.needs > 0 {
		d.request = d.receiver.Start(want)
	}
	return d.request, d.needs > 0
}

// keep goes back to a mode that the sender has left running.
func (d *demand) keep(want capture.Want) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = want
	d.receiver.Keep(want)
}

// requested reports whether a request is the last one.
func (d *demand) requested(request uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return request == d.request
}

// need notes that one more sink needs frames, or one less.
func (d *demand) need(yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.needs
	if yes {
		d.needs++
	} else {
		d.needs--
	}
	switch {
	case before == 0:
		d.request = d.receiver.Start(d.want)
	case d.needs == 0:
		d.receiver.Stop()
	}
}
