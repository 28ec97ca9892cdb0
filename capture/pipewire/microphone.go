package pipewire

/*
#include <stdlib.h>
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/internal/monotonic"
)

// Microphone reads a microphone of PipeWire. It implements capture.Source, where it has
// no mode.
type Microphone struct {
	name   string
	format capture.AudioFormat
	pool   *capture.Pool
	conn   *conn

	reading sync.Mutex // held by Read
	closing sync.Once
	closed  atomic.Bool
	mic     *C.struct_tb_mic // freed under reading, with its ring
	ring    *C.struct_tb_mic_ring
	lost    atomic.Uint64
	rate    atomic.Uint32

	// Accessed only by Read.
	samples []byte // of the ring
	next    uint64 // sample that the next block begins with
	checked uint32 // changes of the connection when the state was looked at
	line    stampLine
}

var _ capture.Source = (*Microphone)(nil)

// OpenMicrophone starts to read the node of that name; "" is the default source, which
// it then follows. Where there is none, Read reports capture.ErrGone.
func OpenMicrophone(name string, format capture.AudioFormat, pool *capture.Pool) (*Microphone, error) {
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("open microphone: %w", err)
	}
	c, err := connect()
	if err != nil {
		return nil, fmt.Errorf("open microphone: %w", err)
	}
	m := &Microphone{name: name, format: format, pool: pool, conn: c}
	if !c.isManaged() {
		c.close()
		return nil, fmt.Errorf("open microphone: %w", ErrNoSessionManager)
	}
	target := C.CString(name)
	defer C.free(unsafe.Pointer(target))
	if res := C.tb_mic_open(&m.mic, c.c, target, C.uint32_t(format.Channels)); res < 0 {
		c.close()
		return nil, explain("open microphone", int(res))
	}
	m.ring = C.tb_mic_ring(m.mic)
	m.samples = unsafe.Slice((*byte)(unsafe.Pointer(m.ring.samples)), C.TB_MIC_ROOM*format.SampleSize())
	return m, nil
}

// Mode returns none: a microphone has a format only.
func (m *Microphone) Mode() capture.Mode { return capture.Mode{} }

// Format returns the format of the blocks.
func (m *Microphone) Format() capture.Format { return capture.Format{Audio: m.format} }

// Lost counts the blocks that were not read in time.
func (m *Microphone) Lost() capture.Lost { return capture.Lost{Driver: m.lost.Load()} }

// ServerRate returns the rate of PipeWire's graph in Hz, from which the server resamples where
// it is not that of the format; 0 before the first block.
func (m *Microphone) ServerRate() int { return int(m.rate.Load()) }

// Read waits for the next block and returns a copy of it, owned by the caller. A gap in
// the numbers is what was not read in time. It ends with capture.ErrClosed, or with
// capture.ErrGone where the last microphone or PipeWire went away.
func (m *Microphone) Read() (*capture.Frame, error) {
	m.reading.Lock()
	defer m.reading.Unlock()
	for {
		if m.closed.Load() {
			return nil, capture.ErrClosed
		}
		if f := m.readBlock(); f != nil {
			return f, nil
		}
		if err := m.checkState(); err != nil {
			return nil, err
		}
		m.conn.wait() // or Close has interrupted it
	}
}

// readBlock returns the next block, nil where it has not come yet.
func (m *Microphone) readBlock() *capture.Frame {
	f := m.pool.Get(m.format.BlockSize())
	if !m.copyBlock(f.Data) {
		f.Release()
		return nil
	}
	m.rate.Store(atomic.LoadUint32((*uint32)(&m.ring.rate)))
	m.line.addStamp(time.Duration(atomic.LoadInt64((*int64)(&m.ring.zero))))
	f.Format, f.Sequence = m.Format(), uint32(m.next/capture.AudioBlock)
	f.Time = monotonic.Time(m.line.timeOf(int64(m.next)))
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, time.Now()
	m.next += capture.AudioBlock
	return f
}

// copyBlock copies the next block out of the ring, if it has come. Those that were replaced
// before they were read count as lost; so does one that may be while it is copied.
func (m *Microphone) copyBlock(to []byte) bool {
	for {
		written := m.written()
		for written-m.next > C.TB_MIC_ROOM-2*capture.AudioBlock {
			m.next += capture.AudioBlock
			m.lost.Add(1)
		}
		if written-m.next < capture.AudioBlock {
			return false
		}
		at := int(m.next%C.TB_MIC_ROOM) * m.format.SampleSize() // the ring holds whole blocks: none is split
		copy(to, m.samples[at:])
		if m.written()-m.next <= C.TB_MIC_ROOM-capture.AudioBlock {
			return true
		}
	}
}

// written returns how many samples the ring has had so far.
func (m *Microphone) written() uint64 { return atomic.LoadUint64((*uint64)(&m.ring.written)) }

// checkState returns why no more blocks come, if that is so. It looks only where something has
// changed since it looked last.
func (m *Microphone) checkState() error {
	changes := atomic.LoadUint32((*uint32)(m.conn.changes))
	if changes == m.checked {
		return nil
	}
	m.checked = changes
	var state C.struct_tb_mic_state
	C.tb_mic_state(m.mic, &state)
	if state.error < 0 {
		return fmt.Errorf("read microphone: %w: %s", capture.ErrGone, C.GoString(&state.text[0]))
	}
	return nil
}

// Close wakes Read, waits until it has left, and frees the microphone. It may be called
// from any goroutine, and twice.
func (m *Microphone) Close() error {
	m.closing.Do(func() {
		m.closed.Store(true)
		m.conn.interrupt()
		m.reading.Lock()
		defer m.reading.Unlock()
		C.tb_mic_close(m.mic)
		m.conn.close()
	})
	return nil
}

const (
	// lineShare is how much of a stamp counts for the line: it is averaged over two
	// seconds, since single stamps are off by some milliseconds (on a loaded machine 1.2 ms
	// rms).
	lineShare = 200
	// lineJump is the error from which on a stamp begins another line: the microphone was
	// gone, or is another one.
	lineJump = 100 * time.Millisecond
)

// stampLine is the line through the stamps of samples.
type stampLine struct {
	zero  time.Duration // of sample 0, on CLOCK_MONOTONIC
	last  time.Duration // the same by the last stamp
	begun bool
}

// addStamp takes when sample 0 was captured, by a stamp. The same stamp counts once.
func (l *stampLine) addStamp(zero time.Duration) {
	switch off := zero - l.zero; {
	case l.begun && zero == l.last:
		return
	case !l.begun || off.Abs() > lineJump:
		l.zero, l.begun = zero, true
	default:
		l.zero += off / lineShare
	}
	l.last = zero
}

// timeOf returns when a sample was captured.
func (l *stampLine) timeOf(sample int64) time.Duration { return l.zero + capture.AudioDuration(sample) }
