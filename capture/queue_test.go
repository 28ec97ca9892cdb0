package capture

import (
	"sync"
	"testing"
)

func TestQueueKeepsAllUpToItsBound(t *testing.T) {
	var p Pool
	q := NewQueue(3)
	for n, want := range []bool{true, true, true, false, false} {
		if taken := q.Put(numbered(&p, uint32(n))); taken != want {
			t.Errorf("frame %d: taken %t", n, taken)
		}
	}
	for want := range uint32(2) {
		f := <-q.Frames()
		if f.Sequence != want {
			t.Errorf("got frame %d, want %d", f.Sequence, want)
		}
		f.Release()
	}
	q.Close()
	q.Close()
	if q.Put(numbered(&p, 9)) {
		t.Error("a frame was taken after Close")
	}
	q.Discard()
	q.Discard()
	if f, ok := <-q.Frames(); ok {
		t.Errorf("got %v after Discard", f)
	}
	if p.Outstanding() != 0 {
		t.Errorf("%d outstanding", p.Outstanding())
	}
}

// Whatever the order: each frame that was taken comes once, and all are given back.
func TestQueueConcurrently(t *testing.T) {
	const count = 10_000
	var p Pool
	var wg sync.WaitGroup
	q := NewQueue(8)
	taken, got, last := 0, 0, uint32(0)
	wg.Go(func() {
		defer q.Close()
		for n := range uint32(count) {
			if q.Put(numbered(&p, n+1)) {
				taken++
			}
		}
	})
	wg.Go(func() {
		for f := range q.Frames() {
			if f.Sequence <= last {
				t.Errorf("frame %d comes after %d", f.Sequence, last)
			}
			got, last = got+1, f.Sequence
			f.Release()
		}
	})
	wg.Wait()
	if got != taken || got < 8 || p.Outstanding() != 0 {
		t.Errorf("%d came of %d, %d outstanding", got, taken, p.Outstanding())
	}
}
