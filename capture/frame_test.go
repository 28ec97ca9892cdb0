package capture

import (
	"sync"
	"testing"
	"time"
)

// panics reports what f panics with.
func panics(f func()) (what any) {
	defer func() { what = recover() }()
	f()
	return nil
}

func TestPoolReuses(t *testing.T) {
	var p Pool
	f := p.Get(1000)
	if len(f.Data) != 1000 || p.Outstanding() != 1 {
		t.Fatalf("%d bytes, %d outstanding", len(f.Data), p.Outstanding())
	}
	f.Format, f.Sequence, f.Time, f.At[Sent] = Format{Pixel: MJPEG}, 7, time.Now(), time.Now()
	first := &f.Data[0]
	f.Release()
	again := p.Get(1100) // within the headroom
	if &again.Data[0] != first || len(again.Data) != 1100 {
		t.Error("the buffer was not used again")
	}
	if again.Format != (Format{}) || again.Sequence != 0 || !again.Time.IsZero() || !again.At[Sent].IsZero() {
		t.Errorf("it remembers: %+v", again)
	}
	again.Release()
	if n := testing.AllocsPerRun(100, func() { p.Get(1000).Release() }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
	if p.Outstanding() != 0 {
		t.Errorf("%d outstanding", p.Outstanding())
	}
}

func TestPoolReserve(t *testing.T) {
	var p Pool
	p.Reserve(20, 1000)
	if len(p.idle) != 20 || p.held < 20*1000 || p.Outstanding() != 0 {
		t.Errorf("%d frames with %d bytes are there, %d are out", len(p.idle), p.held, p.Outstanding())
	}
}

func TestPoolKeepsFew(t *testing.T) {
	for size, want := range map[int]int{10: keepIdleSmall, 1 << 20: 51, 6 << 20: keepIdle, 8 << 20: 14, 60 << 20: 2, MaxFrame + maxIdle: 0} {
		var p Pool
		var frames []*Frame
		for range want + 3 {
			frames = append(frames, p.Get(size))
		}
		for _, f := range frames {
			f.Release()
		}
		if len(p.idle) != want || p.Outstanding() != 0 {
			t.Errorf("of %d bytes %d are idle, want %d; %d outstanding", size, len(p.idle), want, p.Outstanding())
		}
		for range want {
			p.Get(size)
		}
		if p.held != 0 {
			t.Errorf("none is idle, and they hold %d bytes", p.held)
		}
	}
}

// TestPoolOfChangingSizes: small frames do not hold the memory of large ones, and
// buffers of a size that does not come any more give way to others.
func TestPoolOfChangingSizes(t *testing.T) {
	var p Pool
	get := func(size int) *Frame {
		f := p.Get(size)
		if room := cap(f.Data); room > max(wasteful*size, smallBuffer) {
			t.Fatalf("%d bytes are in a buffer of %d", size, room)
		}
		return f
	}
	for range keepIdle + 1 {
		get(8 << 20).Release()
	}
	var held []*Frame
	for range 4 {
		held = append(held, get(30<<20))
	}
	for _, f := range held {
		f.Release()
	}
	get(200 << 10).Release()
	get(1 << 20).Release()
	for _, size := range []int{200 << 10, 1 << 20, 30 << 20} {
		if n := testing.AllocsPerRun(100, func() { get(size).Release() }); n != 0 {
			t.Errorf("%d bytes: it allocates %v times", size, n)
		}
	}
	if p.held > maxIdle {
		t.Errorf("%d bytes are held", p.held)
	}
}

// TestPoolRoom: what is in use, idle and not collected yet is within the limit.
func TestPoolRoom(t *testing.T) {
	const MiB = 1 << 20
	p := Pool{Limit: 100 * MiB}
	if !p.Room(90*MiB) || p.Room(101*MiB) {
		t.Error("an empty pool has room for its limit")
	}
	a, b := p.Get(40*MiB), p.Get(40*MiB)
	if p.Room(30*MiB) || !p.Room(10*MiB) {
		t.Error("80 of 100 MiB are in use")
	}
	a.Release()
	if !p.Room(35 * MiB) {
		t.Error("an idle buffer is used again")
	}
	if !p.Room(10*MiB) || !p.Room(50*MiB) || p.held != 0 {
		t.Errorf("an idle buffer, of %d bytes, gives way", p.held)
	}
	b.Release()
	unlimited := Pool{}
	if !unlimited.Room(1 << 40) {
		t.Error("there is no limit")
	}
}

func TestFrameMisusePanics(t *testing.T) {
	var p Pool
	f := p.Get(1)
	f.Retain().Release()
	f.Release()
	if panics(func() { f.Release() }) == nil {
		t.Error("a second Release does not panic")
	}
	f = p.Get(1)
	f.Release()
	if panics(func() { f.Retain() }) == nil {
		t.Error("Retain of a released frame does not panic")
	}
	if p.Outstanding() != 0 {
		t.Errorf("%d outstanding", p.Outstanding())
	}
}

func TestPoolConcurrently(t *testing.T) {
	var p Pool
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := range 1000 {
				f := p.Get(1 + n%100)
				f.Data[0] = byte(worker)
				wg.Go(f.Retain().Release)
				f.Release()
			}
		})
	}
	wg.Wait()
	if p.Outstanding() != 0 {
		t.Errorf("%d outstanding", p.Outstanding())
	}
}

// A frame that no pool made belongs to the garbage collector, however it is released.
func TestFrameWithoutPool(t *testing.T) {
	f := &Frame{Data: []byte{1}}
	f.Retain().Release()
	f.Release()
	f.Release()
	if len(f.Data) != 1 {
		t.Error("it lost its data")
	}
}
