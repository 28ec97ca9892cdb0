package record

import (
	"log/slog"
	"sync"

	"github.com/dustin/go-humanize"

	"github.com/tbcam/tbcam/capture"
)

// entry is a frame on its way to the disk, and what Record and Segment had asked
// for when it came.
type entry struct {
	frame  *capture.Frame
	gap    Gap  // before it
	on     bool // it is to be recorded
	part   int  // a file holds frames of one part
	rolled bool // it is charged to the pre-roll
}

// leastCost is what a small frame is charged, so that a bound in bytes also is
// one of entries.
const leastCost = 16 << 10

// frames counts a frame of video, and no block of audio.
func (e *entry) frames() int {
	if e.frame.Format.IsAudio() {
		return 0
	}
	return 1
}

func (e *entry) cost() int64 { return int64(max(cap(e.frame.Data), leastCost)) }

// queue is the memory for frames between the cable and the disk. It logs that the
// disk is slow before it has to drop, and drops the newest frame: one that was taken
// is written. put and close are for one side, the rest for the other.
type queue struct {
	limit   int64 // bytes, of held and of rolled each
	log     *slog.Logger
	entries chan entry

	mu      sync.Mutex
	held    int64 // bytes of frames that were put and not released
	most    int64 // that held has been
	rolled  int64 // bytes of those that wait for a start
	count   int   // frames of held, without blocks of audio
	logged  int   // what was logged last of the disk
	dropped uint64
	missing uint64 // dropped since the last one that was taken
	already uint64 // dropped when the disk had caught up last
}

// What a queue logs of the disk.
const (
	diskKeepsUp = iota
	diskSlow
	diskTooSlow
)

func newQueue(limit int64, log *slog.Logger) *queue {
	return &queue{limit: limit, log: log, entries: make(chan entry, limit/leastCost+1)}
}

// putEntry takes over the frame of e, and never waits.
func (q *queue) putEntry(e entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held+e.cost() > q.limit {
		q.dropEntry(e)
		return
	}
	if !e.frame.Format.IsAudio() {
		e.gap.Disk += q.missing
		q.missing = 0
	}
	q.held += e.cost()
	q.most = max(q.most, q.held)
	q.count += e.frames()
	q.entries <- e // there is room, since each entry costs enough
	if q.logged == diskKeepsUp && q.held > q.limit/2 {
		q.logged = diskSlow
		q.log.Warn("disk is slow: buffering frames in memory",
			"waiting", humanize.IBytes(uint64(q.held)), "room", humanize.IBytes(uint64(q.limit)))
	}
}

func (q *queue) dropEntry(e entry) {
	q.dropped += uint64(e.frames()) // silence is in the place of audio
	q.missing += uint64(e.frames())
	e.frame.Release()
	if q.logged != diskTooSlow {
		q.logged = diskTooSlow
		q.log.Warn("disk is too slow: frames are missing from the recording",
			"waiting", humanize.IBytes(uint64(q.held)), "err", ErrBufferFull)
	}
}

// chargePreRoll charges an entry to the pre-roll.
func (q *queue) chargePreRoll(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	// The pre-roll has a budget of its own, or a long one would leave no memory for a
	// slow disk.
	q.held -= e.cost()
	q.rolled += e.cost()
	q.count -= e.frames()
	e.rolled = true
}

// preRollFull reports whether the pre-roll has more than its share of the memory.
func (q *queue) preRollFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rolled > q.limit
}

// releaseEntries gives the frames of entries back; lost ones are counted as dropped.
func (q *queue) releaseEntries(entries []entry, lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		if e.rolled {
			q.rolled -= e.cost()
		} else {
			q.held -= e.cost()
			q.count -= e.frames()
		}
		if lost {
			q.dropped += uint64(e.frames())
		}
		e.frame.Release()
	}
	clear(entries)
	if q.logged != diskKeepsUp && q.held <= q.limit/8 {
		q.logged = diskKeepsUp
		q.log.Info("disk has caught up", "dropped", q.dropped-q.already)
		q.already = q.dropped
	}
}
