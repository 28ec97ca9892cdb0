package pipewire

/*
#include <stdlib.h>
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
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

	mu     sync.Mutex
	player *C.struct_tb_player // nil once it is closed
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

// MaxMargin is the largest margin of a Player.
const MaxMargin = C.TB_MARGIN

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
	p.watcher = newWatcher(c)
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
	n := len(samples) / p.format.SampleSize()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.player == nil {
		return Level{}, ErrClosed
	}
	var l C.struct_tb_level
	res := C.tb_player_write(p.player, unsafe.Pointer(unsafe.SliceData(samples)), C.uint32_t(n), &l)
	runtime.KeepAlive(samples)
	if res < 0 {
		return Level{}, explain("play audio at PipeWire", int(res))
	}
	return Level{
		Waiting: int(l.waiting), Cycle: int(l.quantum), Since: time.Duration(l.since), Target: int(l.target),
		Filling: bool(l.filling), Underruns: uint64(l.underruns), Silence: uint64(l.silence), Dropped: uint64(l.dropped),
	}, nil
}

// Adjust has samples taken at a rate, where 1 is that of the server, and so many more of
// them wait than two cycles and a block.
func (p *Player) Adjust(rate float64, margin int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.player != nil {
		C.tb_player_adjust(p.player, C.double(rate), C.uint32_t(max(margin, 0)))
	}
}

func (p *Player) state() (s C.struct_tb_player_state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.player != nil {
		C.tb_player_state(p.player, &s)
	}
	return s
}

// Streaming reports whether somebody listens.
func (p *Player) Streaming() bool { s := p.state(); return bool(s.streaming) && s.error == 0 }

// Err returns why the node is lost, nil while it is not.
func (p *Player) Err() error {
	s := p.state()
	if s.error == 0 {
		return nil
	}
	err := explain("play audio at PipeWire", int(s.error))
	if text := C.GoString(&s.text[0]); text != "" {
		err = fmt.Errorf("%w (%s)", err, text)
	}
	return err
}

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
