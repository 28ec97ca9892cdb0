package tbsim

import (
	"math/rand/v2"
	"syscall"
	"time"
)

// Times of open and close.
const (
	// flushTimeout is for each ring (tbstream_dev_stop), and from 7.4 on for
	// room for the CLOSE packet (tbstream_dev_send_close).
	flushTimeout = 500 * time.Millisecond
	// pathsTime is what tb_xdomain_enable_paths takes to write the hops of both
	// paths to the routers [I].
	pathsTime = 2 * time.Millisecond
	// postTime is what tbstream_dev_alloc_rx_buffers takes to map and post the
	// buffers of a ring [I].
	postTime = 200 * time.Microsecond
)

// End is one host with its stream device (struct tbstream_dev).
type End struct {
	cable  *Cable
	peer   *End
	kernel Kernel

	users         int
	locked        bool // by open or close, or the host is suspended
	closed        bool // a CLOSE was read
	closeReceived bool // and before that, received
	removed       bool
	unset         bool // the HopIDs
	noRings       bool
	waiters       []*waiter

	paths     int  // the cable's unplugs when the paths were enabled
	sending   bool // the TX ring is started
	receiving bool // the RX ring has buffers
	counting  bool // and its count will not be reset any more
	tx, rx    queue[*packet]
	landed    int // newest packets of rx that were not polled
	// count is prod-cons of the RX ring: what the driver believes to be there.
	// What is there is rx; the two differ by how far the reader is behind.
	count int
	// unseen counts the CLOSE packets of the peer that its open device could not
	// send, and those that this one received and does not show.
	unseen int
	wire

	openLuck, readLuck, writeLuck, wireLuck *rand.Rand
}

func newEnd(c *Cable, i int, k Kernel) *End {
	return &End{
		cable: c, kernel: k, paths: -1,
		openLuck: c.rng(i, 0), readLuck: c.rng(i, 1), writeLuck: c.rng(i, 2), wireLuck: c.rng(i, 3),
	}
}

// validError returns why the device cannot be used (tbstream_dev_valid).
func (e *End) validError() error {
	switch {
	case !e.cable.plugged:
		return syscall.ENXIO
	case e.unset:
		return syscall.EINVAL
	}
	return nil
}

// isConnected reports whether the paths lead to the cable as it is plugged now.
func (e *End) isConnected() bool { return e.cable.plugged && e.paths == e.cable.unplugs }

// freePackets is how many packets can be written.
func (e *End) freePackets() int {
	if !e.sending {
		return 0
	}
	return e.cable.options.Ring - 1 - e.tx.n
}

// postedBuffers is how many packets can be received. A ring never posts all of its
// buffers; the last one follows when the first is taken from the ring.
func (e *End) postedBuffers() int {
	ring := e.cable.options.Ring
	return min(ring-1-e.landed, ring-e.rx.n)
}

// Behind returns how many packets are in the ring that the driver does not count.
// A reader sees them when as many more have come.
func (e *End) Behind() int {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	return e.laggingPackets()
}

func (e *End) laggingPackets() int { return e.rx.n - e.landed - e.count }

// Open opens the device with O_NONBLOCK, as often as one likes
// (tbstream_dev_fops_open). Its error is ENXIO without a cable, EINVAL without
// HopIDs, ENOMEM without a DMA ring, EIO if the cable is unplugged meanwhile, or
// ENOENT.
func (e *End) Open() (*File, error) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.lock()
	defer e.unlock()
	if e.removed {
		return nil, syscall.ENOENT
	}
	if err := e.validError(); err != nil {
		return nil, err
	}
	if e.users == 0 {
		if err := e.firstOpen(); err != nil {
			return nil, err
		}
	}
	e.users++
	return &File{end: e, nonblock: true}, nil
}

func (e *End) firstOpen() (err error) {
	if e.noRings {
		return syscall.ENOMEM
	}
	started := false
	e.startRings(func(failure error) {
		err, started = failure, true
		e.wakeWaiters(wakeState)
	})
	e.awaitCondition(wakeState, forever, func() bool { return started })
	if err == nil {
		e.closed, e.closeReceived = false, false
	}
	return err
}

// startRings enables the paths and posts the buffers (tbstream_dev_start). A packet
// that comes while they are posted is received, but the count of these is reset
// when all are.
func (e *End) startRings(done func(error)) {
	unplugs := e.cable.unplugs
	e.cable.runAfter(pathsTime, func() {
		if !e.cable.plugged || e.cable.unplugs != unplugs {
			done(syscall.EIO)
			return
		}
		e.paths, e.sending = unplugs, true
		e.receiving = e.kernel.polls() || Chance(e.openLuck.Float64()) < e.cable.options.Behind
		e.peer.pumpPackets()
		e.cable.runAfter(postTime, func() {
			e.receiving, e.counting = true, true
			e.peer.pumpPackets()
			done(nil)
		})
	})
}

// stopRings frees the rings with what is in them.
func (e *End) stopRings() {
	e.sending, e.receiving, e.counting = false, false, false
	e.leaving = false
	e.cable.freeAll(&e.tx)
	e.peer.loseSent()
	e.cable.freeAll(&e.rx)
	e.landed, e.count = 0, 0
}

// closeDevice is the last close of the device (tbstream_dev_fops_release).
func (e *End) closeDevice() {
	sent := e.sendsClose() && e.freePackets() > 0
	if sent {
		p := e.cable.newPacket(closeSize)
		p.isClose = true
		e.tx.push(p)
		e.pumpPackets()
	}
	e.awaitCondition(wakeTx, flushTimeout, func() bool { return e.tx.n == 0 })
	if last := e.tx.n - 1; !sent || last >= 0 && (*e.tx.at(last)).isClose {
		e.peer.unseen++
	}
	e.sending, e.leaving = false, false
	e.cable.freeAll(&e.tx)
	if !e.kernel.polls() {
		// The flush waits until no buffer is posted: only a full ring is so.
		e.awaitCondition(wakeRx, flushTimeout, func() bool { return e.postedBuffers() == 0 })
	}
	e.stopRings()
}

// sendsClose reports whether a CLOSE packet is to be sent, and waits for room.
func (e *End) sendsClose() bool {
	if !e.kernel.polls() {
		return true
	}
	e.advanceReceived()
	if e.closeReceived || e.validError() != nil {
		return false
	}
	return e.awaitCondition(wakeTx, flushTimeout, func() bool { return e.freePackets() > 0 })
}

// advanceReceived takes the packets that have landed from the ring, from 7.4 on
// (tbstream_dev_advance_rx).
func (e *End) advanceReceived() {
	for e.landed > 0 {
		for i := e.rx.n - e.landed; i < e.rx.n; i++ {
			if (*e.rx.at(i)).isClose {
				e.closeReceived = true
				e.wakeWaiters(PollIn | PollHup)
			}
		}
		e.count += e.landed
		e.landed = 0
		e.peer.pumpPackets()
	}
}

// lock takes the mutex that open and close hold while they wait.
func (e *End) lock() {
	e.awaitCondition(wakeState, forever, func() bool { return !e.locked })
	e.locked = true
}

func (e *End) unlock() {
	e.locked = false
	e.wakeWaiters(wakeAll)
	e.peer.pumpPackets() // for a device that is closed now
}

// Suspend puts the host to sleep for d: its rings are freed and started again
// without a word to the peer, and what was in them is lost (tbstream_suspend,
// tbstream_resume). Its processes go on, but find nothing to read and no room to
// write; open and close wait.
func (e *End) Suspend(d time.Duration) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.suspendHost(time.Now().Add(d))
}

func (e *End) suspendHost(until time.Time) {
	left := time.Until(until)
	switch {
	case left <= 0:
	case e.locked: // a call into the driver ends before the host sleeps
		e.cable.runAfter(time.Millisecond, func() { e.suspendHost(until) })
	default:
		e.locked = true
		e.stopRings()
		e.cable.runAfter(left, e.resumeHost)
	}
}

func (e *End) resumeHost() {
	if e.users == 0 {
		e.unlock()
		return
	}
	e.startRings(func(error) { e.unlock() })
}

// SetHopIDs sets or clears the HopIDs. EBUSY: the device is open.
func (e *End) SetHopIDs(set bool) error {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	if e.users > 0 || e.locked {
		return syscall.EBUSY
	}
	e.unset = !set
	return nil
}

// SetRings sets whether the host has DMA rings for the next open.
func (e *End) SetRings(free bool) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.noRings = !free
}

// Remove removes the stream's ConfigFS directory, and the device with it
// (tbstream_dev_drop_item). Files that are open stay.
func (e *End) Remove() {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.removed = true
	e.wakeWaiters(wakeAll)
}
