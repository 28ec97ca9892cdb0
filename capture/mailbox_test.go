package capture

import (
	"sync"
	"testing"
)

// numbered returns a frame with that sequence number.
func numbered(p *Pool, n uint32) *Frame {
	f := p.Get(1)
	f.Sequence = n
	return f
}

func TestMailboxKeepsTheNewest(t *testing.T) {
	var p Pool
	m := NewMailbox()
	for n, want := range []bool{false, true, true} {
		if superseded := m.Put(numbered(&p, uint32(n))); superseded != want {
			t.Errorf("frame %d: superseded %t", n, superseded)
		}
	}
	f := <-m.Frames()
	if f.Sequence != 2 {
		t.Errorf("got frame %d", f.Sequence)
	}
	f.Release()
	if m.Put(numbered(&p, 3)) {
		t.Error("a frame that was taken was superseded")
	}
	m.Discard()
	m.Discard()
	if p.Outstanding() != 0 {
		t.Errorf("%d outstanding", p.Outstanding())
	}
}

func TestMailboxClose(t *testing.T) {
	var p Pool
	m := NewMailbox()
	m.Put(numbered(&p, 1))
	m.Close()
	m.Close()
	if m.Put(numbered(&p, 2)) {
		t.Error("a frame after Close superseded one")
	}
	f, ok := <-m.Frames()
	if !ok || f.Sequence != 1 {
		t.Fatalf("got %v, %t", f, ok)
	}
	f.Release()
	if f, ok := <-m.Frames(); ok {
		t.Errorf("got %v after the last", f)
	}
	m.Discard()
	if p.Outstanding() != 0 {
		t.Errorf("%d outstanding", p.Outstanding())
	}
}

// Whatever the order: frames come in theirs, the last one comes, and all are
// given back.
func TestMailboxConcurrently(t *testing.T) {
	const count = 10_000
	var p Pool
	var wg sync.WaitGroup
	m := NewMailbox()
	superseded, taken, last := 0, 0, uint32(0)
	wg.Go(func() {
		defer m.Close()
		for n := range uint32(count) {
			if m.Put(numbered(&p, n+1)) {
				superseded++
			}
		}
	})
	wg.Go(func() {
		for f := range m.Frames() {
			if f.Sequence <= last {
				t.Errorf("frame %d comes after %d", f.Sequence, last)
			}
			taken, last = taken+1, f.Sequence
			f.Release()
		}
	})
	wg.Wait()
	if taken+superseded != count || last != count || p.Outstanding() != 0 {
		t.Errorf("%d taken and %d superseded of %d, the last %d, %d outstanding", taken, superseded, count, last, p.Outstanding())
	}
}
