package main

import (
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// demand asks the sender for pictures while any sink needs them.
type demand struct {
	receiver asker
	want     capture.Want

	mu    sync.Mutex
	needs int
}

// asker is a transport.Receiver.
type asker interface {
	Start(want capture.Want) (request uint32)
	Stop()
}

// ask wants another mode from now on, and reports whether pictures are needed.
func (d *demand) ask(want capture.Want) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = want
	if d.needs > 0 {
		d.receiver.Start(want)
	}
	return d.needs > 0
}

// need notes that one more sink needs pictures, or one less.
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
		d.receiver.Start(d.want)
	case d.needs == 0:
		d.receiver.Stop()
	}
}
