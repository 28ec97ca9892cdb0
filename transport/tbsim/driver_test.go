package tbsim

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// plain is a host without the chances of the driver.
func plain(k Kernel) Options { return Options{Kernel: k, Behind: Never, Busy: Never} }

// on runs a test on a cable of each of the kernels.
func on(t *testing.T, kernels []Kernel, test func(t *testing.T, c *Cable)) {
	for _, k := range kernels {
		t.Run(k.String(), func(t *testing.T) { with(t, plain(k), test) })
	}
}

func with(t *testing.T, o Options, test func(t *testing.T, c *Cable)) {
	synctest.Test(t, func(t *testing.T) { test(t, New(o)) })
}

var (
	before73 = Kernels[:2]
	before74 = Kernels[:3]
	only74   = Kernels[3:]
)

func open(t *testing.T, e *End) *File {
	t.Helper()
	f, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// pair opens both ends.
func pair(t *testing.T, c *Cable) (a, b *File) {
	t.Helper()
	return open(t, c.End(0)), open(t, c.End(1))
}

// result is what a call returned.
type result struct {
	n   int
	err error
}

func (r result) String() string { return fmt.Sprintf("%d, %v", r.n, r.err) }

func read(f *File, size int) result {
	n, err := f.Read(make([]byte, size))
	return result{n, err}
}

func write(f *File, sizes ...int) result {
	bufs := make([][]byte, len(sizes))
	for i, size := range sizes {
		bufs[i] = make([]byte, size)
	}
	n, err := f.Writev(bufs)
	return result{n, err}
}

// fill writes packets of a size until one is refused, and returns how many were
// accepted and the refusal.
func fill(f *File, size int) result {
	for n := 0; ; n++ {
		if r := write(f, size); r.err != nil {
			return result{n, r.err}
		}
	}
}

// drain reads packet by packet until there is none, and returns how many there
// were and how it ended.
func drain(f *File) result {
	for n := 0; ; n++ {
		if r := read(f, packetSize); r.n == 0 {
			return result{n, r.err}
		}
	}
}

func want(t *testing.T, what string, got, want result) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func wantPoll(t *testing.T, f *File, want int16) {
	t.Helper()
	if got, _ := f.Poll(PollIn|PollOut, 0); got != want {
		t.Errorf("poll: %#x, want %#x", got, want)
	}
}

// took returns how long f took.
func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func closeFile(t *testing.T, f *File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func wantClose(t *testing.T, f *File, want time.Duration) {
	t.Helper()
	if d := took(func() { closeFile(t, f) }); d != want {
		t.Errorf("close took %v, want %v", d, want)
	}
}

var (
	again = result{0, syscall.EAGAIN}
	eof   = result{0, nil}
)

func TestCallsOverSeveralPackets(t *testing.T) {
	for _, k := range Kernels {
		for _, c := range []struct{ asked, half, all int }{
			{1, 1, 1},
			{4096, 4096, 4096},
			{8192, 4096, 8192},
			{10000, 5904, 10000},
			{150000, 76272, 150000},
			{1 << 18, 1 << 17, 1 << 18},
		} {
			expected := result{c.all, nil}
			if k == Linux72 {
				expected.n = c.half
			}
			with(t, plain(k), func(t *testing.T, cable *Cable) {
				a, _ := pair(t, cable)
				want(t, fmt.Sprintf("%v: write of %d", k, c.asked), write(a, c.asked), expected)
			}) // what was opened is forgotten with the bubble
			with(t, plain(k), func(t *testing.T, cable *Cable) {
				a, b := pair(t, cable)
				for range 255 {
					write(a, 4096)
				}
				want(t, fmt.Sprintf("%v: read of %d", k, c.asked), read(b, c.asked), expected)
			})
		}
	}
}

func TestWriteTakesSlots(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		c.End(0).Stall(time.Hour)
		want(t, "bytes of 64", fill(a, 64), result{255, syscall.EAGAIN})
		want(t, "a read", read(b, 4096), again)
	})
}

func TestWritevPacksSegments(t *testing.T) {
	on(t, Kernels[1:], func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		for range 200 {
			want(t, "writev", write(a, 32, 0, 40, 1000), result{1072, nil})
		}
		sizes := []int{1, 4095, 1, 0, 8191, 4096, 5}
		want(t, "writev", write(a, sizes...), result{16389, nil})
		if used := c.End(1).rx.n; used != 200+5 {
			t.Errorf("%d packets, want 205", used)
		}
		want(t, "read", read(b, 1<<20), result{200*1072 + 16389, nil})
	})
}

func TestBytesArriveInOrder(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		sent := []byte("one two three four five six seven")
		if n, err := a.Writev([][]byte{sent[:4], nil, sent[4:8], sent[8:9]}); n == 0 || err != nil {
			t.Fatal(n, err)
		} else if rest, err := a.Writev([][]byte{sent[n:]}); err != nil {
			t.Fatal(rest, err)
		} else {
			sent = sent[:n+rest]
		}
		got := make([]byte, 0, len(sent))
		for size := 1; len(got) < len(sent); size++ { // parts of packets, and across them
			p := make([]byte, size)
			n, err := b.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p[:n]...)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("got %q", got)
		}
	})
}

func TestNobodyReads(t *testing.T) {
	on(t, before74, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		want(t, "packets accepted", fill(a, packetSize), result{511, syscall.EAGAIN}) // 2,093,056 bytes
		wantClose(t, a, time.Second)
		want(t, "packets of 511 that came", drain(b), result{256, syscall.EAGAIN}) // and no EOF
	})
	on(t, only74, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		want(t, "packets accepted", fill(a, packetSize), result{510, syscall.EAGAIN})
		wantPoll(t, b, PollIn|PollOut)
		want(t, "packets accepted once the reader polled", fill(a, packetSize), result{1, syscall.EAGAIN})
		wantClose(t, a, time.Second)
		want(t, "packets of 511 that came", drain(b), result{256, syscall.EAGAIN})
	})
}

func TestRingSize(t *testing.T) {
	for _, ring := range []int{32, 4096} {
		o := plain(Linux73)
		o.Ring = ring
		with(t, o, func(t *testing.T, c *Cable) {
			a, _ := pair(t, c)
			want(t, "packets accepted", fill(a, 1), result{2*ring - 1, syscall.EAGAIN})
		})
	}
}

func TestCloseDelivers(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 4096)
		closing := 500 * time.Millisecond
		if c.End(0).kernel >= Linux74 {
			closing = 0
		}
		wantClose(t, a, closing)
		want(t, "what came", read(b, 1<<20), result{4096, nil})
		want(t, "the end", read(b, 1<<20), eof)
	})
}

func TestTailLeavesIfReadInTime(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		accepted := fill(a, packetSize).n
		go closeFile(t, a)
		time.Sleep(400 * time.Millisecond)
		got := drain(b)
		time.Sleep(time.Second)
		after := drain(b) // with 7.4 also the CLOSE, for which there was room in time
		if got.n+after.n != accepted || (after.err == nil) != (c.End(0).kernel >= Linux74) {
			t.Errorf("%v and %v came of %d", got, after, accepted)
		}
	})
}

func TestCloseTakesLonger(t *testing.T) {
	stuck := func(k Kernel) time.Duration {
		if k >= Linux74 {
			return 500 * time.Millisecond
		}
		return time.Second
	}
	on(t, Kernels, func(t *testing.T, c *Cable) {
		wantClose(t, open(t, c.End(0)), stuck(c.End(0).kernel)) // the peer is closed
	})
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		c.End(0).Stall(time.Hour)
		wantClose(t, a, stuck(c.End(0).kernel))
	})
	on(t, before74, func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		c.Unplug()
		wantClose(t, a, time.Second)
	})
	on(t, only74, func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		c.Unplug()
		wantClose(t, a, 0) // no CLOSE is sent
	})
}

func TestClosingEndStillReceives(t *testing.T) {
	on(t, before74, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		go closeFile(t, a)
		time.Sleep(100 * time.Millisecond)
		want(t, "write to one that closes", write(b, 4096), result{4096, nil})
		if n := c.End(1).tx.n; n != 0 {
			t.Errorf("%d packets did not leave", n)
		}
		time.Sleep(time.Second)
		want(t, "packets to one that has closed", fill(open(t, c.End(1)), 1), result{255, syscall.EAGAIN})
	})
}

func TestReadAfterClose(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 1)
		closeFile(t, a)
		want(t, "first read", read(b, 10), result{1, nil})
		want(t, "second read", read(b, 10), eof)
		later := eof
		if c.End(1).kernel <= Linux72y {
			later = again
		}
		want(t, "third read", read(b, 10), later)
		want(t, "fourth read", read(b, 10), later)
	})
}

func TestPollAfterClose(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		wantPoll(t, b, PollOut)
		closeFile(t, a)
		var hup int16
		if c.End(1).kernel >= Linux74 {
			hup = PollHup
		}
		wantPoll(t, b, PollIn|PollOut|hup)
		read(b, 10)
		wantPoll(t, b, PollOut|hup)
	})
}

func TestWriteAfterClose(t *testing.T) {
	on(t, before73, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		closeFile(t, a)
		read(b, 10)
		want(t, "packets", fill(b, 1), result{255, syscall.EAGAIN})
		want(t, "a later write", write(b, 1), again)
		wantPoll(t, b, 0)
	})
	on(t, []Kernel{Linux73}, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		closeFile(t, a)
		want(t, "write before the CLOSE was read", write(b, 1), result{1, nil})
		read(b, 10)
		want(t, "write after that", write(b, 1), result{0, syscall.ENXIO})
	})
	on(t, only74, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		closeFile(t, a)
		want(t, "write before the CLOSE was read", write(b, 1), result{0, syscall.EPIPE})
		read(b, 10)
		want(t, "write after that", write(b, 1), result{0, syscall.EPIPE})
		wantClose(t, b, 0) // with no CLOSE of its own
	})
}

func TestEndIsSticky(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		second := open(t, c.End(1))
		closeFile(t, a)
		read(b, 10)
		a = open(t, c.End(0))
		write(a, 3)
		again73 := eof
		if c.End(1).kernel <= Linux72y {
			again73 = result{3, nil}
		}
		want(t, "data of the peer's next opening", read(b, 10), again73)
		b.SetNonblock(false)
		want(t, "blocking read of an empty ring", read(b, 10), eof)

		wantClose(t, b, 0) // it is not the last
		second.SetNonblock(false)
		want(t, "blocking read of another file", read(second, 10), eof)
		closeFile(t, second)
		time.Sleep(time.Second)
		closeFile(t, a)
		a, b = pair(t, c)
		write(a, 5)
		want(t, "read after all were closed", read(b, 10), result{5, nil})
		want(t, "write after all were closed", write(b, 5), result{5, nil})
	})
}

func TestOpenersShareTheQueue(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		thief := open(t, c.End(1))
		write(a, 1)
		write(a, 2)
		want(t, "the one", read(b, 1), result{1, nil})
		want(t, "the other", read(thief, 10), result{2, nil})
	})
}

func TestBlockedCalls(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		b.SetNonblock(false)
		go func() {
			time.Sleep(time.Second)
			write(a, 7)
		}()
		if d := took(func() { want(t, "blocked read", read(b, 10), result{7, nil}) }); d != time.Second {
			t.Errorf("it took %v", d)
		}
	})
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		a.SetNonblock(false)
		b.SetNonblock(false)
		done := make(chan result, 2)
		go func() { done <- read(b, 10) }()
		go func() { c.End(0).Stall(time.Hour); done <- fill(a, 4096) }()
		synctest.Wait()
		c.Unplug()
		results := []result{<-done, <-done}
		slices.SortFunc(results, func(a, b result) int { return a.n - b.n })
		want(t, "blocked read", results[0], result{0, syscall.ENXIO})
		want(t, "blocked write", results[1], result{255, syscall.ENXIO})
	})
}

func TestWriteBlockedAtClose(t *testing.T) {
	for _, k := range Kernels {
		refusal := error(syscall.ENXIO)
		if k >= Linux74 {
			refusal = syscall.EPIPE
		}
		with(t, plain(k), func(t *testing.T, c *Cable) {
			a, b := pair(t, c)
			accepted := fill(b, 1).n
			b.SetNonblock(false)
			done := make(chan result)
			go func() { done <- write(b, 1) }()
			closeFile(t, a)
			drain(open(t, c.End(1))) // another file reads the CLOSE
			want(t, fmt.Sprintf("%v: write blocked after %d", k, accepted), <-done, result{0, refusal})
		})
	}
}

func TestDamagedPacket(t *testing.T) {
	for _, k := range before74 {
		with(t, plain(k), func(t *testing.T, c *Cable) {
			a, b := pair(t, c)
			c.End(0).Damage(2)
			sent := []byte("intact")
			var polled []time.Duration
			go func() {
				for i := range 3 {
					time.Sleep(time.Duration(min(i, 1)) * 10 * time.Millisecond)
					a.Writev([][]byte{sent})
				}
			}()
			begun := time.Now()
			var got []byte
			for len(got) < 3*len(sent) {
				b.Poll(PollIn, time.Second)
				polled = append(polled, time.Since(begun))
				p := make([]byte, 100)
				n, _ := b.Read(p)
				got = append(got, p[:n]...)
			}
			if bytes.Equal(got[6:12], sent) || !bytes.Equal(append(got[:6:6], got[12:]...), []byte("intactintact")) {
				t.Errorf("%v: got %q", k, got)
			}
			if !slices.Equal(polled, []time.Duration{0, 20 * time.Millisecond}) {
				t.Errorf("%v: woken at %v; want nothing at the second packet", k, polled)
			}
		})
	}
	on(t, before74, func(t *testing.T, c *Cable) { // poll looks once more when its time is over
		a, b := pair(t, c)
		c.End(0).Damage(1)
		go write(a, 1)
		events, _ := b.Poll(PollIn, 200*time.Millisecond)
		if events != PollIn {
			t.Errorf("poll: %#x", events)
		}
	})
	on(t, only74, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		c.End(0).Damage(2)
		for range 3 {
			write(a, 10)
		}
		want(t, "before", read(b, 100), result{10, nil})
		want(t, "damaged", read(b, 100), result{0, syscall.EIO})
		want(t, "after", read(b, 100), result{10, nil})
	})
}

func TestLockHeld(t *testing.T) {
	for _, k := range Kernels {
		o := plain(k)
		o.Busy = 0.25
		with(t, o, func(t *testing.T, c *Cable) {
			a, b := pair(t, c)
			refused := 0
			for range 1000 {
				r := write(a, 1)
				if r.err == nil {
					r = read(b, 10)
				}
				if r.err == syscall.EAGAIN {
					wantPoll(t, b, PollOut|PollIn*int16(min(1, c.End(1).rx.n)))
					refused++
				}
				drain(b)
			}
			if k.triesLock() == (refused == 0) || refused > 600 {
				t.Errorf("%v: %d of 1000 calls were refused", k, refused)
			}
		})
	}
}

func TestBusyPoll(t *testing.T) {
	for _, k := range Kernels {
		o := plain(k)
		o.BusyPoll = true
		with(t, o, func(t *testing.T, c *Cable) {
			expected := PollErr
			if k <= Linux72y {
				expected = PollOut
			}
			wantPoll(t, open(t, c.End(0)), expected)
		})
	}
}

// behind opens a device whose peer has written n packets of one byte before, and
// has the driver lose count of them.
func behind(t *testing.T, c *Cable, n int) (a, b *File) {
	t.Helper()
	a = open(t, c.End(0))
	for range n {
		write(a, 1)
	}
	return a, open(t, c.End(1))
}

func TestBehind(t *testing.T) {
	for _, k := range before74 {
		for _, n := range []int{1, 3, 40} {
			o := plain(k)
			o.Behind = 1
			t.Run(fmt.Sprintf("%v by %d", k, n), func(t *testing.T) {
				with(t, o, func(t *testing.T, c *Cable) { testBehind(t, c, n) })
			})
		}
	}
	o := plain(Linux74)
	o.Behind = 1
	with(t, o, func(t *testing.T, c *Cable) {
		_, b := behind(t, c, 3)
		want(t, "with 7.4, read of what waited", read(b, 100), result{3, nil})
	})
}

func testBehind(t *testing.T, c *Cable, n int) {
	a, b := behind(t, c, n)
	wantPoll(t, b, PollOut)
	want(t, "what waited", read(b, 100), again)
	write(a, 10)
	want(t, "with the first packet", read(b, 100), result{n + 10, nil})
	if k := c.End(1).Behind(); k != n {
		t.Errorf("behind by %d, want %d", k, n)
	}
	if late := lateRecords(a, b, n); late != 0 {
		t.Errorf("with %d pads %d of 50 records were late", n, late)
	}
	if late := lateRecords(a, b, n-1); late != 25 {
		t.Errorf("with %d pads %d of 50 records were late, want every other one", n-1, late)
	}
	second := open(t, c.End(1))
	closeFile(t, b)
	if k := c.End(1).Behind(); k != n {
		t.Errorf("behind by %d with another file open, want %d", k, n)
	}
	closeFile(t, a)
	want(t, "an EOF", read(second, 10), again) // is late, too
	closeFile(t, second)
	time.Sleep(time.Second)
	a, b = pair(t, c)
	write(a, 1)
	want(t, "after all were closed", read(b, 10), result{1, nil})
	closeFile(t, a)
	want(t, "the EOF", read(b, 10), eof)
}

// lateRecords sends 50 records, each with some pads of one byte after it, and counts
// those that cannot be read at once.
func lateRecords(a, b *File, pads int) (late int) {
	for range 50 {
		write(a, 10)
		for range pads {
			write(a, 1)
		}
		if read(b, 1000) == again {
			late++
		}
	}
	return late
}

func TestBehindACloseInFlight(t *testing.T) {
	o := plain(Linux72y)
	o.Behind = 1
	with(t, o, func(t *testing.T, c *Cable) {
		a := open(t, c.End(0))
		go closeFile(t, a)
		time.Sleep(100 * time.Millisecond)
		b := open(t, c.End(1))
		if k := c.End(1).Behind(); k != 1 {
			t.Errorf("behind by %d, want 1", k)
		}
		time.Sleep(time.Second)
		write(open(t, c.End(0)), 5)
		want(t, "first read: the EOF of the opening before", read(b, 10), eof)
	})
}

func TestBehindByChance(t *testing.T) {
	count := 0
	for seed := range uint64(120) {
		with(t, Options{Kernel: Linux72y, Seed: seed}, func(t *testing.T, c *Cable) {
			_, b := behind(t, c, 1)
			if r := read(b, 10); r == again {
				count++
			}
		})
	}
	if count < 65 || count > 95 {
		t.Errorf("behind in %d of 120 opens, want about 8 of 12", count)
	}
}

func TestUnplug(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 10)
		c.Unplug()
		gone := result{0, syscall.ENXIO}
		want(t, "read", read(b, 10), gone)
		want(t, "write", write(b, 10), gone)
		wantPoll(t, b, PollErr|PollHup)
		if _, err := c.End(0).Open(); err != syscall.ENXIO {
			t.Errorf("open: %v", err)
		}
		c.Plug()
		wantPoll(t, b, PollIn|PollOut)
		want(t, "what an old file had not read", read(b, 10), result{10, nil})
		want(t, "read of an old file", read(b, 10), again)
		wantPoll(t, b, PollOut)
		want(t, "packets into an old file", fill(a, 1), result{255, syscall.EAGAIN})
		fresh := open(t, c.End(1))
		want(t, "read of a fresh file beside an old one", read(fresh, 10), again)
		for _, f := range []*File{a, b, fresh} {
			closeFile(t, f)
		}
		a, b = pair(t, c)
		write(a, 3)
		want(t, "read after all were closed", read(b, 10), result{3, nil})
	})
}

func TestUnplugAfter(t *testing.T) {
	for _, n := range []int{1, 4096, 4097, 12345} {
		with(t, plain(Linux73), func(t *testing.T, c *Cable) {
			a, b := pair(t, c)
			c.End(0).UnplugAfter(n)
			got := 0
			for {
				if write(a, 4096).err != nil {
					break
				}
				got += max(0, read(b, 1<<20).n)
			}
			if expected := (n - 1) / 4096 * 4096; got != expected {
				t.Errorf("cut at %d bytes: %d came, want %d", n, got, expected)
			}
			want(t, "read", read(b, 10), result{0, syscall.ENXIO})
		})
	}
}

func TestOpenErrors(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		e := c.End(0)
		for _, x := range []struct {
			err      error
			set, end func()
		}{
			{syscall.ENXIO, c.Unplug, c.Plug},
			{syscall.EINVAL, func() { e.SetHopIDs(false) }, func() { e.SetHopIDs(true) }},
			{syscall.ENOMEM, func() { e.SetRings(false) }, func() { e.SetRings(true) }},
			{syscall.EIO, func() { time.AfterFunc(time.Millisecond, c.Unplug) }, c.Plug},
		} {
			x.set()
			if _, err := e.Open(); err != x.err {
				t.Errorf("open: %v, want %v", err, x.err)
			}
			x.end()
			closeFile(t, open(t, e))
		}
		f := open(t, e)
		if err := e.SetHopIDs(false); err != syscall.EBUSY {
			t.Errorf("HopIDs of an open device: %v", err)
		}
		closeFile(t, f)
		want(t, "read of a closed file", read(f, 1), result{0, syscall.EBADF})
		want(t, "write to a closed file", write(f, 1), result{0, syscall.EBADF})
		wantPoll(t, f, PollNval)
		if err := f.Close(); err != syscall.EBADF {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestOpenWaitsForClose(t *testing.T) {
	on(t, before74, func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		go closeFile(t, a)
		synctest.Wait()
		if d := took(func() { open(t, c.End(0)) }); d < 500*time.Millisecond || d > 510*time.Millisecond {
			t.Errorf("open took %v", d)
		}
	})
}

func TestRemovedGroup(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		blocked := open(t, c.End(1))
		blocked.SetNonblock(false)
		done := make(chan result)
		go func() { done <- read(blocked, 10) }()
		synctest.Wait()
		c.End(1).Remove()
		want(t, "blocked read", <-done, eof)
		if _, err := c.End(1).Open(); err != syscall.ENOENT {
			t.Errorf("open: %v", err)
		}
		write(a, 5)
		reads, writes := result{5, nil}, result{2, nil}
		if c.End(1).kernel >= Linux73 {
			reads, writes = eof, result{0, syscall.ENXIO}
		}
		want(t, "read", read(b, 10), reads)
		want(t, "write", write(b, 2), writes)
	})
}

func TestSuspend(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 10)
		write(b, 20)
		c.End(1).Suspend(10 * time.Second)
		want(t, "write to one that sleeps", fill(a, 1), result{255, syscall.EAGAIN})
		want(t, "write of one that sleeps", write(b, 1), again)
		want(t, "what was sent before", read(a, 100), result{20, nil})
		time.Sleep(9 * time.Second)
		if d := took(func() { open(t, c.End(1)) }); d < time.Second {
			t.Errorf("open took %v while the host slept", d)
		}
		want(t, "read: what was received is lost", read(b, 1000), result{255, nil})
		write(a, 3)
		want(t, "later read", read(b, 1000), result{3, nil})
	})
	o := plain(Linux72y)
	o.Behind = 1
	with(t, o, func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		c.End(1).Suspend(time.Second)
		fill(a, 1)
		time.Sleep(2 * time.Second)
		if k := c.End(1).Behind(); k != 255 {
			t.Errorf("behind by %d after resume, want 255", k)
		}
	})
}

func TestUnpluggedAsleep(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		_, b := pair(t, c)
		c.End(1).Suspend(time.Second)
		c.Unplug()
		time.Sleep(2 * time.Second)
		wantPoll(t, b, PollErr|PollHup)
		c.Plug()
		closeFile(t, b)
		closeFile(t, open(t, c.End(1)))
	})
}

func TestUnheard(t *testing.T) {
	for _, x := range []struct {
		unheard Unheard
		taken   result
		came    result
	}{
		{Queued, result{255, syscall.EAGAIN}, result{256, nil}},
		{Dropped, result{1000, nil}, result{1, nil}},
		{Wedged, result{255, syscall.EAGAIN}, again},
	} {
		o := plain(Linux72y)
		o.Unheard = x.unheard
		with(t, o, func(t *testing.T, c *Cable) {
			a := open(t, c.End(0))
			taken := result{}
			for ; taken.n < 1000 && taken.err == nil; taken.n++ {
				if taken.err = write(a, 1).err; taken.err != nil {
					taken.n--
				}
			}
			want(t, "packets into a closed device", taken, x.taken)
			b := open(t, c.End(1))
			write(a, 1)
			want(t, "bytes that came", read(b, 1000), x.came)
		})
	}
}

func TestDroppedDataMakesRoom(t *testing.T) {
	o := plain(Linux73)
	o.Unheard = Dropped
	with(t, o, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		fill(a, 1)
		time.AfterFunc(time.Second, func() { b.Close() })
		if d := took(func() { a.Poll(PollOut, time.Hour) }); d != time.Second {
			t.Errorf("there was room after %v", d)
		}
	})
}

// slow is a cable that packets are on for a second.
func slow(k Kernel) Options {
	o := plain(k)
	o.Latency = time.Second
	return o
}

func TestPacketsOnTheWayHaveABuffer(t *testing.T) {
	with(t, slow(Linux73), func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		want(t, "packets accepted", fill(a, 1), result{510, syscall.EAGAIN})
		time.Sleep(2 * time.Second) // the last buffer is posted when the first is full
		want(t, "packets accepted later", fill(a, 1), result{1, syscall.EAGAIN})
	})
}

func TestWhatIsOnTheWayIsLost(t *testing.T) {
	with(t, slow(Linux74), func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 10)
		c.Unplug()
		c.Plug()
		time.Sleep(2 * time.Second)
		want(t, "read of an old file", read(b, 10), again)
	})
	with(t, slow(Linux74), func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 10)
		closeFile(t, b)
		b = open(t, c.End(1))
		time.Sleep(2 * time.Second)
		want(t, "read of the next opening", read(b, 10), again)
	})
}

func TestSuspendWaitsForClose(t *testing.T) {
	on(t, before74, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		time.AfterFunc(100*time.Millisecond, func() { c.End(0).Suspend(10 * time.Second) })
		write(a, 10)
		wantClose(t, a, 500*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		if d := took(func() { open(t, c.End(0)) }); d < 9*time.Second {
			t.Errorf("open took %v", d)
		}
		want(t, "what was sent before", read(b, 100), result{10, nil})
		want(t, "the end", read(b, 100), eof)
	})
}

func TestRateAndLatency(t *testing.T) {
	o := plain(Linux72y)
	o.Rate, o.Latency = 4096*1000, 3*time.Millisecond
	with(t, o, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		write(a, 2*4096)
		write(a, 2048)
		begun := time.Now()
		for _, at := range []time.Duration{4000, 5000, 5500} {
			b.Poll(PollIn, time.Second)
			if d := time.Since(begun); d != at*time.Microsecond || read(b, 1<<20).err != nil {
				t.Errorf("a packet came after %v, want %v", d, at*time.Microsecond)
			}
		}
	})
}

func TestStall(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		c.End(0).Stall(time.Second)
		c.End(0).Stall(2 * time.Second)
		write(a, 1)
		if d := took(func() { b.Poll(PollIn, time.Hour) }); d != 2*time.Second {
			t.Errorf("the packet came after %v", d)
		}
	})
}

func TestTwoKernels(t *testing.T) {
	o := plain(Linux72)
	o.Peer = Linux74
	with(t, o, func(t *testing.T, c *Cable) {
		a, b := pair(t, c)
		closeFile(t, a)
		want(t, "write of the newer", write(b, 1), result{0, syscall.EPIPE})
	})
	if c := New(Options{}); c.End(0).kernel != Linux72 || c.End(1).kernel != Linux72 {
		t.Errorf("the zero value is %v and %v", c.End(0).kernel, c.End(1).kernel)
	}
}

func TestWakeEndsPoll(t *testing.T) {
	on(t, Kernels, func(t *testing.T, c *Cable) {
		a, _ := pair(t, c)
		go func() {
			time.Sleep(time.Second)
			a.Wake()
		}()
		if d := took(func() { a.Poll(PollIn, -1) }); d != time.Second {
			t.Errorf("poll took %v", d)
		}
		if d := took(func() { a.Poll(PollIn, -1) }); d != 0 {
			t.Errorf("the next poll took %v", d)
		}
	})
}
