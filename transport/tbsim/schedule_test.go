package tbsim

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRandomSchedules(t *testing.T) {
	var seen [kinds]int
	for seed := range uint64(200) {
		s := Random(seed, trafficTime)
		if !slices.Equal(s, Random(seed, trafficTime)) {
			t.Fatalf("seed %d gives two schedules", seed)
		}
		if !slices.IsSortedFunc(s, func(a, b Event) int { return int(a.At - b.At) }) {
			t.Errorf("seed %d is not in order:\n%v", seed, s)
		}
		for _, e := range s {
			seen[e.Kind]++
			if e.At < 0 || e.For < 0 || e.At+e.For > trafficTime || e.End&^1 != 0 {
				t.Errorf("seed %d: %v", seed, e)
			}
		}
		if lines := strings.Count(s.String(), "\n"); lines != len(s) {
			t.Errorf("%d events are %d lines", len(s), lines)
		}
	}
	if slices.Min(seen[:]) == 0 {
		t.Errorf("kinds that came: %v", seen)
	}
}

func TestEventString(t *testing.T) {
	e := Event{At: 1500 * time.Millisecond, For: time.Second, Kind: Unplug, End: 1, N: 4097}
	if s := e.String(); s != "at 1.5s for 1s: unplug at end 1, n 4097" {
		t.Error(s)
	}
}

// TestEvents looks at the devices during every kind of fault, and after it.
func TestEvents(t *testing.T) {
	for _, x := range []struct {
		kind  Kind
		n     int
		write result
		read  result
	}{
		{Unplug, 0, result{0, syscall.ENXIO}, result{0, syscall.ENXIO}},
		{Unplug, 5, result{10, nil}, result{0, syscall.ENXIO}},
		{Unplug, 11, result{10, nil}, result{10, nil}},
		{Damage, 1, result{10, nil}, result{0, syscall.EIO}},
		{Suspend, 0, again, again},
		{Stall, 0, result{10, nil}, again},
		{Slow, 10, result{10, nil}, again},
	} {
		on(t, only74, func(t *testing.T, c *Cable) {
			a, b := pair(t, c)
			c.Run(Schedule{{At: time.Second, For: time.Second, Kind: x.kind, N: x.n}})
			time.Sleep(1500 * time.Millisecond)
			want(t, x.kind.String()+": write", write(a, 10), x.write)
			want(t, x.kind.String()+": read", read(b, 100), x.read)
			time.Sleep(1500 * time.Millisecond)
			closeFile(t, a)
			closeFile(t, b)
			a, b = pair(t, c)
			want(t, x.kind.String()+": write after it", write(a, 3), result{3, nil})
			want(t, x.kind.String()+": read after it", read(b, 100), result{3, nil})
		})
	}
	for kind, refusal := range map[Kind]error{NoHopIDs: syscall.EINVAL, NoRings: syscall.ENOMEM} {
		synctest.Test(t, func(t *testing.T) {
			c := New(plain(Linux73))
			c.Run(Schedule{{At: time.Second, For: time.Second, Kind: kind}, {At: time.Second, For: time.Second, Kind: kind, End: 1}})
			open(t, c.End(0))
			time.Sleep(1500 * time.Millisecond)
			if _, err := c.End(1).Open(); err != refusal {
				t.Errorf("%v: open: %v", kind, err)
			}
			open(t, c.End(0)) // one that is open already takes nothing
			time.Sleep(time.Second)
			open(t, c.End(1))
		})
	}
}
