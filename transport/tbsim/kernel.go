package tbsim

// Kernel is the Linux version whose driver a host has.
//
//	                            7.2          7.2.y        7.3          7.4 as queued
//	I/O over several packets    half of it   all          all          all
//	read after CLOSE            0, EAGAIN    0, EAGAIN    0            0
//	write after CLOSE           EAGAIN       EAGAIN       ENXIO        EPIPE
//	                            when full    when full    once read    once received
//	poll after CLOSE            IN           IN           IN           IN|HUP
//	                            once         once         once         HUP stays
//	damaged packet              no wake-up   no wake-up   no wake-up   EIO once, bytes gone
//	lock held by other calls    waits        waits        EAGAIN       EAGAIN
//	packets during open         uncounted    uncounted    uncounted    counted
//	packets in an unread ring   N            N            N            N-1 until polled
//	CLOSE with a full ring      skipped      skipped      skipped      waits 0.5 s
//	close                       0.5 to 1 s   0.5 to 1 s   0.5 to 1 s   0 to 1 s
//
// 7.4 sends no CLOSE to a peer that has sent one.
type Kernel int

// The versions of the driver.
const (
	Linux72  Kernel = iota + 1 // 7.2
	Linux72y                   // 7.2.y: "Fix possible short reads/writes"
	Linux73                    // 7.3: "Support IOCB_NOWAIT in non-blocking I/O"
	Linux74                    // queued: "Use polling with RX ring", "Improve CLOSE handling on write side"
)

// Kernels are all versions, oldest first.
var Kernels = []Kernel{Linux72, Linux72y, Linux73, Linux74}

func (k Kernel) String() string {
	return [...]string{"unset", "7.2", "7.2.y", "7.3", "7.4"}[k]
}

// The defects and habits that come and go with the versions.

// stopsHalfWay: the loops of read_iter and write_iter compare the bytes that are
// done with those that remain.
func (k Kernel) stopsHalfWay() bool { return k == Linux72 }

// triesLock: O_NONBLOCK takes the device's lock only if it is free
// (tbstream_dev_lock).
func (k Kernel) triesLock() bool { return k >= Linux73 }

// endsForGood: a CLOSE that was read ends all reads and writes that follow.
func (k Kernel) endsForGood() bool { return k >= Linux73 }

// polls: packets are taken from the ring by read, write and poll, not by an
// interrupt (tbstream_dev_advance_rx).
func (k Kernel) polls() bool { return k >= Linux74 }
