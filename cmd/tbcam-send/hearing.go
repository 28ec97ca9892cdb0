package main

import (
	"context"
	"errors"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// hearing is one opening of a microphone.
type hearing struct {
	device capture.Device
	source capture.Source
	ended  chan error    // what reading ended with; one
	done   chan struct{} // closed when readBlocks has ended
}

// newHearing begins to read a microphone. Blocks go to put, the first of them after begin.
func newHearing(d capture.Device, source capture.Source, begin func(capture.Source), put func(*capture.Frame)) *hearing {
	h := &hearing{device: d, source: source, ended: make(chan error, 1), done: make(chan struct{})}
	go h.readBlocks(begin, put)
	return h
}

// endChannel is where the error of a microphone that ends is received; nil has none.
func (h *hearing) endChannel() <-chan error {
	if h == nil {
		return nil
	}
	return h.ended
}

// readBlocks reads blocks until the microphone ends.
func (h *hearing) readBlocks(begin func(capture.Source), put func(*capture.Frame)) {
	defer close(h.done)
	watchdog := time.AfterFunc(mute, func() { h.source.Close() })
	defer watchdog.Stop()
	for first := true; ; first = false {
		f, err := h.source.Read()
		if errors.Is(err, capture.ErrClosed) {
			err = errDeaf // or nobody receives it any more
		}
		if err != nil {
			h.ended <- err
			return
		}
		watchdog.Reset(mute)
		if first {
			begin(h.source)
		}
		correctStamp(f)
		put(f)
	}
}

// close closes the microphone, and waits for readBlocks to end.
func (h *hearing) close() error {
	err := h.source.Close()
	<-h.done
	return err
}

// maxFilled bounds the silence that is put in the place of blocks at once; of what is missing
// beyond that, the numbers of blocks show how much it is.
const maxFilled = 500 * time.Millisecond

// numbering gives the blocks of microphones that follow each other, and of silence between
// them, the numbers of one.
type numbering struct {
	last     time.Time // of the last block; zero before the first
	sequence uint32    // its number
	offset   uint32    // of the numbers that the microphone has
	fresh    bool      // the next block is the first of a microphone
}

// number gives a block its number. It reports false for one that is of the past, since another
// microphone, or silence, had that time.
func (n *numbering) number(f *capture.Frame) bool {
	since := f.Time.Sub(n.last)
	switch {
	case n.last.IsZero():
		n.offset = -f.Sequence
	case since < capture.AudioPeriod/2:
		return false
	case n.fresh:
		n.offset = n.sequence + uint32(max(1, since.Round(capture.AudioPeriod)/capture.AudioPeriod)) - f.Sequence
	}
	f.Sequence += n.offset
	n.fresh, n.last, n.sequence = false, f.Time, f.Sequence
	return true
}

// skipsTo advances to the next block, if that would have been captured by now, and reports
// whether it is.
func (n *numbering) skipsTo(now time.Time) bool {
	late := now.Sub(n.last)
	if late < 2*capture.AudioPeriod { // its end
		return false
	}
	if late > maxFilled {
		missing := late/capture.AudioPeriod - 2
		n.last = n.last.Add(missing * capture.AudioPeriod)
		n.sequence += uint32(missing)
	}
	n.last = n.last.Add(capture.AudioPeriod)
	n.sequence++
	return true
}

// listener is the source of a stream that hears the microphone.
type listener struct {
	microphone *microphone
	out        *transport.SenderStream
	blocks     *capture.Queue
}

func newListener(m *microphone, out *transport.SenderStream) *listener {
	return &listener{m, out, capture.NewQueue(maxWaiting)}
}

// Next implements source.
func (l *listener) Next(ctx context.Context, left <-chan struct{}) (transport.Unit, error) {
	for {
		select {
		case f := <-l.blocks.Frames():
			if info := l.infoOf(f); info != nil {
				return transport.Unit{Frame: f, Info: info, Lost: l.Lost()}, nil
			}
			f.Release()
		case <-left:
			return transport.Unit{}, errLeft
		case <-ctx.Done():
			return transport.Unit{}, ctx.Err()
		}
	}
}

// infoOf returns what describes a block, nil if that holds no more.
func (l *listener) infoOf(f *capture.Frame) *transport.Mode {
	m := l.microphone
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener != l || m.info == nil || m.info.Format != f.Format {
		return nil
	}
	return m.info
}

// Lost implements source.
func (l *listener) Lost() capture.Lost { return l.microphone.lostNow() }
