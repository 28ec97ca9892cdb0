package tbsim

import "time"

// wire carries the packets from one end to the other.
type wire struct {
	leaving bool      // the oldest packet of the TX ring is being sent
	left    time.Time // when that is done
	flying  queue[flight]
	timer   *time.Timer

	stalls int   // it stands still while there are any
	wedged bool  // indefinitely
	cut    int   // unplugs in so many bytes; 0: not
	rate   int64 // bytes per second; 0: that of the cable
	damage int   // damages the packet that so many are to leave for; 0: none
}

// flight is a packet on the way.
type flight struct {
	*packet
	lands time.Time
}

// pumpPackets moves the packets that can be moved, and comes back for those that will.
func (e *End) pumpPackets() {
	now := time.Now()
	for begins := now; ; {
		switch {
		case e.flying.n > 0 && !e.flying.at(0).lands.After(now):
			e.peer.completeReceive(e.flying.pop().packet)
		case e.leaving && !e.left.After(now):
			begins = e.left // not now: in real time a timer may be late
			e.completeSend()
		case !e.leaving && e.tx.n > 0 && e.canPass():
			e.leaving, e.left = true, begins.Add(e.sendDuration(*e.tx.at(0)))
		case !e.leaving && e.tx.n > 0 && e.isPeerClosed():
			e.sendUnheard()
		default:
			e.comeBack(now)
			return
		}
	}
}

// canPass reports whether a packet can leave: both ends have enabled their paths
// since the cable was plugged, and the peer has a posted buffer for it (end-to-end
// flow control).
func (e *End) canPass() bool {
	return e.isConnected() && e.peer.isConnected() && e.sending && e.peer.receiving &&
		e.stalls == 0 && !e.wedged && e.peer.postedBuffers() > e.flying.n
}

// sendDuration is how long the packet takes to be sent.
func (e *End) sendDuration(p *packet) time.Duration {
	rate := e.rate
	if rate == 0 {
		rate = e.cable.options.Rate
	}
	if rate == 0 {
		return 0
	}
	return time.Duration(int64(p.size) * int64(time.Second) / rate)
}

// completeSend completes a packet (tbstream_dev_tx_callback).
func (e *End) completeSend() {
	e.leaving = false
	p := e.tx.pop()
	if e.wakeWaiters(wakeTx); !p.isClose {
		e.wakeWaiters(PollOut)
	}
	if e.cut > 0 {
		if e.cut -= p.size; e.cut <= 0 {
			e.cable.freePacket(p)
			e.cable.unplugCable()
			return
		}
	}
	if e.damage > 0 {
		if e.damage--; e.damage == 0 {
			p.bad = true
			p.data[e.wireLuck.IntN(p.size)] ^= byte(1 << e.wireLuck.IntN(8))
		}
	}
	e.flying.push(flight{p, e.left.Add(e.cable.options.Latency)})
}

// completeReceive completes a buffer of the RX ring (tbstream_dev_rx_callback).
func (e *End) completeReceive(p *packet) {
	e.rx.push(p)
	e.wakeWaiters(wakeRx)
	if e.kernel.polls() {
		e.landed++
	} else if e.counting {
		e.count++
	}
	if p.isClose && e.laggingPackets() > 0 {
		e.unseen++
	}
	if e.kernel.polls() || !p.bad {
		e.wakeWaiters(PollIn)
	}
}

// isPeerClosed reports whether the peer's device is closed.
func (e *End) isPeerClosed() bool {
	return e.cable.options.Unheard != Queued && e.isConnected() && e.sending && !e.wedged &&
		!e.peer.receiving && !e.peer.locked && e.peer.users == 0
}

// sendUnheard sends a packet to a device that is closed.
func (e *End) sendUnheard() {
	if p := *e.tx.at(0); e.cable.options.Unheard == Dropped || p.isClose {
		e.cable.freePacket(e.tx.pop())
		e.wakeWaiters(wakeTx | PollOut)
		return
	}
	e.wedged = true
}

// comeBack sets the timer for the next packet that will have left or landed.
func (e *End) comeBack(now time.Time) {
	var next time.Time
	if e.flying.n > 0 {
		next = e.flying.at(0).lands
	}
	if e.leaving && (next.IsZero() || e.left.Before(next)) {
		next = e.left
	}
	switch {
	case next.IsZero():
	case e.timer == nil:
		e.timer = time.AfterFunc(next.Sub(now), e.pumpLater)
	default:
		e.timer.Reset(next.Sub(now))
	}
}

func (e *End) pumpLater() {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.pumpPackets()
}

// loseSent drops what is on the way to the peer. The packet that was being sent
// has not left its ring.
func (e *End) loseSent() {
	e.leaving = false
	for e.flying.n > 0 {
		e.cable.freePacket(e.flying.pop().packet)
	}
}

// UnplugAfter pulls the cable when n more bytes have left this end, n >= 1. The
// packet that holds the last of them is lost.
func (e *End) UnplugAfter(n int) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.cut = n
}

// SetRate lets so many bytes per second leave this end, from the next packet on;
// 0 is what the cable's Options have.
func (e *End) SetRate(rate int64) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.rate = rate
}

// Damage changes a bit of the n-th packet that leaves this end from now on; 0 takes
// that back. Its checksum shows it, and nothing else happens.
func (e *End) Damage(n int) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.damage = n
}

// Stall lets nothing leave this end for a while.
func (e *End) Stall(d time.Duration) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.stalls++
	e.cable.runAfter(d, func() {
		e.stalls--
		e.pumpPackets()
	})
}
