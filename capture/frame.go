package capture

import (
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stage is a step of a frame's way; its time is when the step was done.
type Stage int

// The stages up to the sinks. Captured is the driver's time stamp; Taken is when
// the encoder began with it; Sent is when the first byte was about to be written;
// Received is when the last byte had been read.
const (
	Captured Stage = iota
	Dequeued
	Taken
	Encoded
	Sent
	Received
	Decoded
	NumStages
)

// String returns the name of the stage as statistics show it.
func (s Stage) String() string {
	return [...]string{"captured", "dequeued", "taken", "encoded", "sent", "received", "decoded"}[s]
}

// MaxFrame is the largest frame in bytes, as it is sent and when it is decoded:
// enough for 8192x4096 in 4:2:2.
const MaxFrame = 64 << 20

// Frame is one unit of video, raw or JPEG by its format, or a block of audio, on its
// whole way.
//
// It has one owner, who passes it on or calls Release once. After the fan-out,
// where more than one holder exists, each holds a reference made by Retain and
// no goroutine writes to it any more.
type Frame struct {
	Format Format
	// Data is Format.Size() bytes of a raw frame, one JPEG file, or the samples of a
	// block of audio.
	Data []byte
	// Sequence is the driver's count of frames; a gap is what it dropped.
	Sequence uint32
	// Time is when the frame was captured, or the first sample of a block. Within one session it differs from
	// that of another frame by exactly what the driver reported; At[Captured] is the
	// better guess of the moment on a viewer, as its estimate of the sender's
	// clock improves.
	Time time.Time
	// At holds the time of each stage passed so far, on this host's monotonic
	// clock; a zero time is a stage not known.
	At [NumStages]time.Time

	pool *Pool
	room int // bytes of its buffer
	refs atomic.Int32

	parsing  sync.Mutex
	isParsed bool
	parsed   any // by Parsed, of this content or an earlier one
}

// Parsed returns what parse has made of Data: it is called once for all holders of
// the frame, in whichever goroutine asks first. It gets what it has made of an
// earlier frame in the same buffer, to be used again, or nil. From then on Data may be
// cut short, and nothing else.
func (f *Frame) Parsed(parse func(earlier any) any) any {
	f.parsing.Lock()
	defer f.parsing.Unlock()
	if !f.isParsed {
		f.parsed, f.isParsed = parse(f.parsed), true
	}
	return f.parsed
}

// CopyMetaFrom makes f the frame from in another format, with its number and times.
func (f *Frame) CopyMetaFrom(format Format, from *Frame) {
	f.Format, f.Sequence, f.Time, f.At = format, from.Sequence, from.Time, from.At
}

// Retain adds a reference, to be given back by its own call of Release. A frame that
// no pool made has none: the garbage collector takes it.
func (f *Frame) Retain() *Frame {
	if f.pool == nil {
		return f
	}
	if f.refs.Add(1) < 2 {
		panic("capture: Retain of a released frame")
	}
	return f
}

// Release gives a reference back; the last one returns the buffer to its pool.
func (f *Frame) Release() {
	if f.pool == nil {
		return
	}
	switch n := f.refs.Add(-1); {
	case n < 0:
		panic("capture: frame released twice")
	case n == 0:
		f.pool.putIdle(f)
	}
}

// A pool keeps some unused buffers of any size, and more of small ones: a recorder
// holds a second of them, and returns all of them together.
const (
	keepIdle      = 16
	keepIdleSmall = 128
	smallIdle     = 64 << 20  // bytes, of those beyond keepIdle with the others
	maxIdle       = 128 << 20 // bytes in all
)

// Compressed frames differ in size. A buffer with headroom is used again for those
// that are a bit larger; one that is wasteful times too large is not used, or small
// frames that a recorder holds would take the memory of large ones.
const (
	maxHeadroom = 1 << 20
	wasteful    = 2
	smallBuffer = 64 << 10 // is never too large
)

// Pool hands out frames and reuses their buffers. It is safe for concurrent use.
type Pool struct {
	// Limit is how many bytes all buffers may have for which Room is asked; 0 is no
	// limit. It is set before the first use.
	Limit int

	mu      sync.Mutex
	idle    []*Frame // that was used last at the end
	held    int      // bytes of idle
	out     int      // frames in use
	used    int      // bytes of these
	garbage int      // bytes that were let go of since the last collection
}

// Get returns a frame with size bytes of undefined content, owned by the caller.
func (p *Pool) Get(size int) *Frame {
	f := p.takeIdle(size)
	if f.Data == nil {
		f.Data = make([]byte, size, f.room)
	}
	f.Data = f.Data[:size]
	f.refs.Store(1)
	return f
}

// Room reports whether a frame of a size is within the limit. Who makes frames of
// what a peer sends asks first, and drops what has no room.
func (p *Pool) Room(size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Limit == 0 || p.findFitting(size) >= 0 {
		return true
	}
	size += headroomFor(size)
	if p.used+p.held+p.garbage+size <= p.Limit {
		return true
	}
	// Idle buffers of other sizes count against the limit: drop them all before this
	// frame is refused.
	for len(p.idle) > 0 {
		p.dropOldest()
	}
	if p.used+size > p.Limit {
		return false
	}
	// The runtime would let garbage grow to the size of what is in use.
	debug.FreeOSMemory()
	p.garbage = 0
	return true
}

func headroomFor(size int) int { return min(size/4, maxHeadroom) }

// Reserve makes n unused frames of size bytes, within what a pool keeps, and has
// the kernel give their memory now: so a process whose queues fill later does not
// grow then.
func (p *Pool) Reserve(n, size int) {
	frames := make([]*Frame, n)
	for i := range frames {
		frames[i] = p.Get(size)
		clear(frames[i].Data[:cap(frames[i].Data)])
	}
	for _, f := range frames {
		f.Release()
	}
}

// takeIdle returns an idle frame with a fitting buffer, or one without a buffer.
func (p *Pool) takeIdle(size int) *Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	var f *Frame
	if i := p.findFitting(size); i >= 0 {
		f = p.removeIdle(i)
	} else {
		f = &Frame{pool: p, room: size + headroomFor(size)}
	}
	p.out++
	p.used += f.room
	return f
}

// findFitting returns the idle frame that was used last of those with a buffer for
// size bytes, or -1.
func (p *Pool) findFitting(size int) int {
	for i, f := range slices.Backward(p.idle) {
		if f.room >= size && f.room <= max(wasteful*size, smallBuffer) {
			return i
		}
	}
	return -1
}

// removeIdle takes a frame out of the idle ones.
func (p *Pool) removeIdle(i int) *Frame {
	f := p.idle[i]
	p.held -= f.room
	p.idle = slices.Delete(p.idle, i, i+1)
	return f
}

// dropOldest drops the idle frame that was unused for the longest time.
func (p *Pool) dropOldest() { p.garbage += p.removeIdle(0).room }

// putIdle keeps a frame, and drops others when there are too many.
func (p *Pool) putIdle(f *Frame) {
	f.Format, f.Sequence, f.Time, f.At = Format{}, 0, time.Time{}, [NumStages]time.Time{}
	f.isParsed = false // but parsed stays, for the next content
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	p.used -= f.room
	p.idle = append(p.idle, f)
	p.held += f.room
	for p.isFull() {
		p.dropOldest()
	}
}

// isFull reports whether there are more idle frames than a pool keeps.
func (p *Pool) isFull() bool {
	n := len(p.idle)
	return p.held > maxIdle || n > keepIdleSmall || n > keepIdle && p.held > smallIdle
}

// Outstanding returns how many frames are not released yet; tests end with none.
func (p *Pool) Outstanding() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}
