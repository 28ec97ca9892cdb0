package tbsim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Options are what a cable and its hosts are like. The zero value is a pair of
// Linux 7.2 hosts that move everything at once.
type Options struct {
	Kernel  Kernel        // of both hosts; zero: Linux72
	Peer    Kernel        // of end 1; zero: that of end 0
	Ring    int           // packets in each ring, 32 to 4096; zero: 256
	Rate    int64         // bytes per second each way; zero: no limit, and no time passes
	Latency time.Duration // one way
	Unheard Unheard       // what becomes of data for a closed device
	// Behind is the chance that packets that wait for an open come before the
	// driver resets its count; zero: 8 of 12, as measured.
	Behind Chance
	// Busy is the chance that a call finds the device's lock held; zero: 1 of 8.
	// It shows from Linux73 on.
	Busy     Chance
	BusyPoll bool // the attribute of Linux73: poll returns PollErr and nothing else
	Seed     uint64
}

// Chance is a probability from 0 to 1.
type Chance float64

// Never takes the place of a zero where that means the default.
const Never Chance = -1

func (c Chance) or(usual Chance) Chance {
	if c == 0 {
		return usual
	}
	return c
}

// Unheard is what becomes of data for a device that is not open. All three were
// seen, each by other people.
type Unheard int

const (
	// Queued data waits in the TX ring until the peer opens, as with the driver
	// over simulated controllers.
	Queued Unheard = iota
	// Dropped data is lost silently.
	Dropped
	// Wedged data is stuck, and all that follows it, for the life of the Cable.
	Wedged
)

// Sizes in bytes.
const (
	packetSize = 4096 // the most that a DATA packet holds (TB_MAX_FRAME_SIZE)
	closeSize  = 256  // of a CLOSE packet (tbstream_dev_send_close)
)

// Cable joins two hosts.
type Cable struct {
	options Options

	mu      sync.Mutex // over everything
	ends    [2]*End
	plugged bool
	unplugs int       // how often it was unplugged
	spare   []*packet // that nobody has
}

// New returns a cable that is plugged in, between devices that are set up.
func New(o Options) *Cable {
	if o.Kernel == 0 {
		o.Kernel = Linux72
	}
	if o.Peer == 0 {
		o.Peer = o.Kernel
	}
	if o.Ring == 0 {
		o.Ring = 256
	}
	o.Behind, o.Busy = o.Behind.or(8./12), o.Busy.or(1./8)
	c := &Cable{options: o, plugged: true}
	for i, k := range []Kernel{o.Kernel, o.Peer} {
		c.ends[i] = newEnd(c, i, k)
	}
	c.ends[0].peer, c.ends[1].peer = c.ends[1], c.ends[0]
	return c
}

// End returns one host's device: 0 or 1.
func (c *Cable) End(i int) *End { return c.ends[i] }

// Unplug pulls the cable: what is on it is lost. Files that are open never carry
// anything again; but once the cable is back, they show what was received before and
// not read.
func (c *Cable) Unplug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unplugCable()
}

// unplugCable leaves the rings as they are (tbstream_dev_detach_stream).
func (c *Cable) unplugCable() {
	if !c.plugged {
		return
	}
	c.plugged = false
	c.unplugs++
	for _, e := range c.ends {
		e.cut = 0
		e.loseSent()
		e.wakeWaiters(wakeAll)
	}
}

// Plug puts the cable back, up to where the hosts have found each other's stream.
func (c *Cable) Plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plugged = true
	for _, e := range c.ends {
		e.wakeWaiters(wakeAll)
	}
}

// runAfter runs f with the lock held, d from now.
func (c *Cable) runAfter(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		f()
	})
}

// packet is what a descriptor of a ring points to.
type packet struct {
	size    int // bytes of data
	read    int // of these
	isClose bool
	bad     bool // its checksum is wrong
	data    [packetSize]byte
}

func (c *Cable) newPacket(size int) *packet {
	last := len(c.spare) - 1
	if last < 0 {
		return &packet{size: size}
	}
	p := c.spare[last]
	c.spare = c.spare[:last]
	p.size, p.read, p.isClose, p.bad = size, 0, false, false
	return p
}

func (c *Cable) freePacket(p *packet) { c.spare = append(c.spare, p) }

func (c *Cable) freeAll(q *queue[*packet]) {
	for q.n > 0 {
		c.freePacket(q.pop())
	}
}

// rng returns the randomness of one matter at one end, so that the order of the
// goroutines does not change what any of them draws.
func (c *Cable) rng(end, matter int) *rand.Rand {
	return rand.New(rand.NewPCG(c.options.Seed, uint64(2*matter+end)))
}
