package tbsim

import (
	"math/rand/v2"
	"syscall"
	"time"
)

// File is a device that was opened. Its methods behave as the system calls do,
// and return syscall.Errno; EBADF after Close.
type File struct {
	end      *End
	nonblock bool
	closed   bool
	woken    bool
}

// SetNonblock sets or clears O_NONBLOCK.
func (f *File) SetNonblock(on bool) {
	f.end.cable.mu.Lock()
	defer f.end.cable.mu.Unlock()
	f.nonblock = on
}

// Read reads what is there (tbstream_dev_fops_read_iter). 0 and no error is the
// end of the stream.
func (f *File) Read(p []byte) (int, error) {
	e := f.end
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	for {
		if err := f.enterCall(e.readLuck); err != nil {
			return 0, err
		}
		e.advanceReceived()
		switch {
		case e.kernel.endsForGood() && e.hasEnded():
			return 0, nil
		case e.count > 0:
			return e.takeReceived(p)
		case f.nonblock:
			return 0, syscall.EAGAIN
		}
		e.awaitCondition(wakeAll, forever, func() bool {
			return f.closed || e.count > 0 || e.landed > 0 || e.validError() != nil || e.hasEnded()
		})
		if e.validError() == nil && e.hasEnded() {
			return 0, nil
		}
	}
}

// enterCall begins a read or write.
func (f *File) enterCall(rng *rand.Rand) error {
	if f.closed {
		return syscall.EBADF
	}
	if err := f.end.validError(); err != nil {
		return err
	}
	if f.nonblock && f.end.kernel.triesLock() && Chance(rng.Float64()) < f.end.cable.options.Busy {
		return syscall.EAGAIN
	}
	return nil
}

// hasEnded reports whether nothing more will come.
func (e *End) hasEnded() bool { return e.closed || e.removed }

// takeReceived copies received packets to p, whether or not they are counted.
func (e *End) takeReceived(p []byte) (n int, err error) {
	defer e.peer.pumpPackets()
	for e.rx.n > e.landed {
		limit := e.kernel.shareOfCall(len(p), n)
		if limit <= 0 {
			break
		}
		first := *e.rx.at(0)
		if first.isClose || first.bad && e.kernel.polls() {
			if n == 0 {
				err = e.takeLast(first)
			}
			break
		}
		m := copy(p[n:n+limit], first.data[first.read:first.size])
		n += m
		if first.read += m; first.read == first.size {
			e.consumeOldest()
		}
	}
	return n, err
}

// takeLast takes a packet that a read never goes beyond.
func (e *End) takeLast(p *packet) error {
	defer e.consumeOldest()
	if p.isClose {
		e.closed = true
		return nil
	}
	return syscall.EIO
}

// consumeOldest posts the oldest buffer again (tbstream_dev_consume_rx).
func (e *End) consumeOldest() {
	e.cable.freePacket(e.rx.pop())
	e.count--
}

// shareOfCall is how many bytes of a call may follow those that are done.
func (k Kernel) shareOfCall(all, done int) int {
	if k.stopsHalfWay() {
		return all - 2*done
	}
	return all - done
}

// Writev writes what there is room for, and begins a new packet with it
// (tbstream_dev_fops_write_iter).
func (f *File) Writev(bufs [][]byte) (int, error) {
	e := f.end
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	for {
		if err := f.enterCall(e.writeLuck); err != nil {
			return 0, err
		}
		e.advanceReceived()
		if err := e.writeRefusal(); err != nil && e.kernel.endsForGood() {
			return 0, err
		}
		if e.freePackets() > 0 {
			return e.putPackets(bufs), nil
		}
		if f.nonblock {
			return 0, syscall.EAGAIN
		}
		e.awaitCondition(wakeAll, forever, func() bool {
			return f.closed || e.freePackets() > 0 || e.landed > 0 || e.validError() != nil || e.hasEnded()
		})
		if err := e.writeRefusal(); err != nil && e.validError() == nil {
			return 0, err
		}
	}
}

// writeRefusal returns why nothing can be written after a CLOSE.
func (e *End) writeRefusal() error {
	switch {
	case e.closeReceived:
		return syscall.EPIPE
	case e.hasEnded():
		return syscall.ENXIO
	}
	return nil
}

// putPackets copies the buffers into packets while there is room.
func (e *End) putPackets(bufs [][]byte) (n int) {
	defer e.pumpPackets()
	all := 0
	for _, b := range bufs {
		all += len(b)
	}
	for from := (scatter{bufs: bufs}); e.freePackets() > 0; {
		size := min(e.kernel.shareOfCall(all, n), packetSize)
		if size <= 0 {
			break
		}
		p := e.cable.newPacket(size)
		from.readInto(p.data[:size])
		e.tx.push(p)
		n += size
	}
	return n
}

// scatter reads buffers one after the other.
type scatter struct {
	bufs [][]byte
	done int // bytes of the first
}

// readInto fills p; there must be as much.
func (s *scatter) readInto(p []byte) {
	for len(p) > 0 {
		n := copy(p, s.bufs[0][s.done:])
		p = p[n:]
		if s.done += n; s.done == len(s.bufs[0]) {
			s.bufs, s.done = s.bufs[1:], 0
		}
	}
}

// Poll waits for one of the events, PollErr or PollHup, for timeout at most, and
// returns those that hold; a negative timeout is indefinite
// (tbstream_dev_fops_poll).
func (f *File) Poll(events int16, timeout time.Duration) (revents int16, err error) {
	f.end.cable.mu.Lock()
	defer f.end.cable.mu.Unlock()
	events |= PollErr | PollHup | PollNval
	f.end.awaitCondition(events, timeout, func() bool {
		revents = f.readyEvents() & events
		return revents != 0 || f.woken
	})
	return revents, nil
}

func (f *File) readyEvents() (events int16) {
	e := f.end
	switch {
	case f.closed:
		return PollNval
	case e.cable.options.BusyPoll && e.kernel >= Linux73:
		return PollErr
	case e.validError() != nil:
		return PollErr | PollHup
	}
	e.advanceReceived()
	if e.closeReceived {
		events |= PollHup
	}
	if e.freePackets() > 0 {
		events |= PollOut
	}
	if e.count > 0 {
		events |= PollIn
	}
	return events
}

// Wake makes every Poll return at once, now and later, as an eventfd does that is
// polled along with a device.
func (f *File) Wake() error {
	f.end.cable.mu.Lock()
	defer f.end.cable.mu.Unlock()
	f.woken = true
	f.end.wakeWaiters(PollErr)
	return nil
}

// Close closes the file. The last one of a device takes 0.5 s, or 1 s if what was
// written cannot leave; that is lost. From 7.4 on it takes no time if it can.
func (f *File) Close() error {
	e := f.end
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	e.wakeWaiters(wakeAll)
	e.lock()
	defer e.unlock()
	if e.users--; e.users == 0 {
		e.closeDevice()
	}
	return nil
}
