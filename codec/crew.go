package codec

import (
	"sync"
	"sync/atomic"
)

// crew does the work on a frame in parts, with several goroutines: the caller's and
// others that end with the frame. A crew allocates nothing for a frame, and is for
// one caller at a time.
type crew struct {
	work  func(worker int) // takes parts until there are no more; no two calls at once have the same worker
	help  func()           // what the other goroutines run
	parts int32
	begun *atomic.Int32 // parts that a worker has taken; C may take some too
	here  atomic.Int32  // workers that have begun
	wait  sync.WaitGroup
}

func newCrew(work func(worker int)) *crew {
	c := &crew{work: work, begun: new(atomic.Int32)}
	c.help = func() {
		defer c.wait.Done()
		c.beginWork()
	}
	return c
}

// runParts returns when all parts are done. Who is late, because waking a processor takes
// long, finds fewer parts left.
func (c *crew) runParts(parts, workers int) {
	c.parts = int32(parts)
	c.begun.Store(0)
	c.here.Store(0)
	c.wait.Add(workers - 1)
	for range workers - 1 {
		go c.help()
	}
	c.beginWork()
	c.wait.Wait()
}

func (c *crew) beginWork() { c.work(int(c.here.Add(1)) - 1) }

// takePart returns a part that no other worker has taken; ok is false when there is none.
func (c *crew) takePart() (part int, ok bool) {
	n := c.begun.Add(1)
	return int(n) - 1, n <= c.parts
}
