package main

import (
	"context"
	"sync"
	"time"
)

const (
	// endWithin is how long a run may take to end after a signal. What still decodes,
	// draws, prints or waits for a peer then is left to the end of the process.
	endWithin = 1700 * time.Millisecond
	// endAfterRecording is likewise, from when a recording is complete: that may take as
	// long as its disk does.
	endAfterRecording = 100 * time.Millisecond
)

// completion is what a run that does not end leaves to be known.
type completion struct {
	mu       sync.Mutex
	recorded chan struct{} // closed when the recording is complete; nil: there is none
	result   func() error  // of a run that is left; nil before it began
}

// setResult sets what a run that is left ends with.
func (c *completion) setResult(result func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result = result
}

// expectRecording has the end wait until recordingIsComplete.
func (c *completion) expectRecording() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorded = make(chan struct{})
}

func (c *completion) recordingIsComplete() { close(c.recorded) }

// knownResult returns what is known: a result that is not nil.
func (c *completion) knownResult() (recorded <-chan struct{}, result func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.result == nil {
		return c.recorded, func() error { return nil }
	}
	return c.recorded, c.result
}

// endInTime runs until run ends, or a signal came and it does not.
func endInTime(signals context.Context, run func(*completion) error) error {
	var c completion
	ended := make(chan error, 1)
	go func() { ended <- run(&c) }()
	select {
	case err := <-ended:
		return err
	case <-signals.Done():
	}
	if ok, err := receiveWithin(ended, endWithin); ok {
		return err
	}
	recorded, result := c.knownResult()
	if recorded == nil {
		return result()
	}
	select {
	case err := <-ended:
		return err
	case <-recorded:
	}
	if ok, err := receiveWithin(ended, endAfterRecording); ok {
		return err
	}
	return result()
}

func receiveWithin(from <-chan error, d time.Duration) (ok bool, err error) {
	select {
	case err = <-from:
		return true, err
	case <-time.After(d):
		return false, nil
	}
}
