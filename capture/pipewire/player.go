package pipewire

/*
#include <stdlib.h>
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/internal/monotonic"
)

// AudioNode describes a node that plays.
type AudioNode struct {
	Name        string
	Description string // that applications show
	// Microphone has it be a source that applications choose; else it plays on the
	// default sink, which it follows.
	Microphone bool
	Format     capture.AudioFormat
}

// Player is a node that plays: a microphone that is published, or one that is heard on
// this host. It may be used from several goroutines.
type Player struct {
	format  capture.AudioFormat
	conn    *conn
	watcher *watcher
	state   atomic.Pointer[playerState]

	mu      sync.Mutex
	player  *C.struct_tb_player // nil once it is closed, and its ring is freed
	ring    *C.struct_tb_player_ring
	samples []byte // of the ring
}

// playerState is what the connection has reported of a Player.
type playerState struct {
	streaming bool  // somebody listens
	err       error // why it is lost
}

// Level is how much waits in a Player. Numbers of samples are per channel.
type Level struct {
	Waiting int           // samples
	Cycle   int           // samples that PipeWire takes together; 0 before it does
	Since   time.Duration // the last of these cycles
	Target  int           // samples that are to wait
	// Filling means that it plays silence until enough waits.
	Filling   bool
	Underruns uint64 // times that too little waited
	Silence   uint64 // samples of silence that were played for that
	Dropped   uint64 // samples that were too much
}

// maxMargin is the largest margin of a Player, in samples: with the largest cycles the ring has
// room for it.
const maxMargin = 60000

// OpenPlayer makes a node. It is there until Close, or until the connection is lost, which
// Write and Err return.
func OpenPlayer(n AudioNode) (*Player, error) {
	op := "play audio"
	if n.Microphone {
		op = "publish a microphone"
	}
	if err := n.Format.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	c, err := connectManaged(true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	p := &Player{format: n.Format, conn: c}
	if res := p.open(n); res < 0 {
		c.close()
		return nil, explain(op+" at PipeWire", res)
	}
	p.ring = C.tb_player_ring(p.player)
	p.samples = unsafe.Slice((*byte)(unsafe.Pointer(p.ring.samples)), C.TB_PLAYER_ROOM*n.Format.SampleSize())
	p.noteState()
	p.watcher = newWatcher(c, p.noteState)
	return p, nil
}

func (p *Player) open(n AudioNode) int {
	name, description := C.CString(n.Name), C.CString(n.Description)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(description))
	raw := C.struct_tb_player_node{
		name: name, description: description,
		microphone: C.bool(n.Microphone), channels: C.uint32_t(n.Format.Channels),
	}
	return int(C.tb_player_open(&p.player, p.conn.c, &raw, answerMS))
}

// Changed returns a channel that receives when Streaming or Err may have changed. It is
// closed by Close.
func (p *Player) Changed() <-chan struct{} { return p.watcher.changed }

// Write copies samples behind those that wait, and returns how many do then. It never
// waits: while nobody listens, and where 2 s of audio wait, it drops the samples.
func (p *Player) Write(samples []byte) (Level, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.player == nil {
		return Level{}, ErrClosed
	}
	s := p.state.Load()
	if s.err != nil {
		return Level{}, s.err
	}
	if s.streaming && atomic.LoadUint32((*uint32)(&p.ring.restart)) == 0 {
		p.writeSamples(samples)
	}
	return p.level(), nil
}

// writeSamples copies samples into the ring, if there is room. p.mu is held.
func (p *Player) writeSamples(samples []byte) {
	n := uint64(len(samples) / p.format.SampleSize())
	written, read := (*uint64)(&p.ring.written), atomic.LoadUint64((*uint64)(&p.ring.read))
	if *written-read+n > C.TB_PLAYER_ROOM {
		atomic.AddUint64((*uint64)(&p.ring.dropped), n) // no cycle has come for long
		return
	}
	at := int(*written%C.TB_PLAYER_ROOM) * p.format.SampleSize()
	copied := copy(p.samples[at:], samples)
	copy(p.samples, samples[copied:])
	atomic.StoreInt64((*int64)(&p.ring.written_at), int64(monotonic.Of(time.Now())))
	atomic.StoreUint64(written, *written+n)
}

// level describes the ring. p.mu is held.
func (p *Player) level() Level {
	r := p.ring
	count := func(of *C.uint64_t) uint64 { return atomic.LoadUint64((*uint64)(of)) }
	size := func(of *C.uint32_t) int { return int(atomic.LoadUint32((*uint32)(of))) }
	return Level{
		Waiting: int(count(&r.written) - count(&r.read)), Cycle: size(&r.quantum), Target: size(&r.target),
		Since:     monotonic.Of(time.Now()) - time.Duration(atomic.LoadInt64((*int64)(&r.read_at))),
		Filling:   size(&r.filling) != 0 || size(&r.restart) != 0,
		Underruns: count(&r.underruns), Silence: count(&r.silence), Dropped: count(&r.dropped),
	}
}

// Adjust has samples taken at a rate, where 1 is that of the server, and so many more of
// them wait than two cycles and a block.
func (p *Player) Adjust(rate float64, margin int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.player != nil {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&p.ring.rate)), math.Float64bits(rate))
		atomic.StoreUint32((*uint32)(&p.ring.margin), uint32(min(max(margin, 0), maxMargin)))
	}
}

// noteState notes what the connection reports, which wakes the watcher. That ends before the
// player is freed.
func (p *Player) noteState() {
	var raw C.struct_tb_player_state
	C.tb_player_state(p.player, &raw)
	s := &playerState{streaming: bool(raw.streaming) && raw.error == 0}
	if raw.error != 0 {
		s.err = explain("play audio at PipeWire", int(raw.error))
		if text := C.GoString(&raw.text[0]); text != "" {
			s.err = fmt.Errorf("%w (%s)", s.err, text)
		}
	}
	p.state.Store(s)
}

// Streaming reports whether somebody listens.
func (p *Player) Streaming() bool { return p.state.Load().streaming }

// Err returns why the node is lost, nil while it is not.
func (p *Player) Err() error { return p.state.Load().err }

// Close removes the node. It may be called twice.
func (p *Player) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.player == nil {
		return nil
	}
	p.watcher.stop()
	C.tb_player_close(p.player)
	p.player = nil
	p.conn.close()
	return nil
}
