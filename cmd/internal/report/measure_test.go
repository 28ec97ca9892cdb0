package report

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// fakeLine is a line with a round trip and a rate in bytes per second each way.
type fakeLine struct {
	trip     time.Duration
	down, up float64
	exchange int
	// change is called with the number of an exchange, and may change what it has shown.
	change func(n int, x *transport.Exchange) error
	stats  transport.Stats
}

func (l *fakeLine) Probe(ctx context.Context, up, down int) (transport.Exchange, error) {
	x := transport.Exchange{RoundTrip: l.trip, Took: l.trip, Padding: down}
	x.Took += time.Duration(1e9 * (float64(up)/l.up + float64(down)/l.down))
	l.exchange++
	if l.change != nil {
		if err := l.change(l.exchange, &x); err != nil {
			return transport.Exchange{}, err
		}
	}
	return x, transport.Sleep(ctx, x.Took)
}

func (l *fakeLine) Stats() transport.Stats { return l.stats }

// measure measures a line in virtual time.
func measure(t *testing.T, l *fakeLine) (f *Figures) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if f, err = Measure(t.Context(), l, 2*time.Second); err != nil {
			t.Fatal(err)
		}
	})
	return f
}

// The figures are those of the line, from very slow to very fast ones.
func TestMeasure(t *testing.T) {
	for _, l := range []*fakeLine{
		{trip: 20 * time.Microsecond, down: 1.2e9, up: 0.9e9},
		{trip: 2 * time.Millisecond, down: 150e3, up: 200e3},
		{trip: time.Microsecond, down: 10e9, up: 10e6},
	} {
		f := measure(t, l)
		if near := func(got, want float64) bool { return got > 0.9*want && got <= want }; !near(f.Down.PerSecond(), l.down) || !near(f.Up.PerSecond(), l.up) {
			t.Errorf("got %.0f and %.0f bytes/s, the line has %.0f and %.0f", f.Down.PerSecond(), f.Up.PerSecond(), l.down, l.up)
		}
		if f.Percentile(0.5) != l.trip || f.Percentile(1) != l.trip || f.Lost != 0 || f.Ended != 0 {
			t.Errorf("got %+v", f.Entries())
		}
	}
}

// TestTroubles: what a bad line does is counted, and a session that ends is waited for.
func TestTroubles(t *testing.T) {
	l := &fakeLine{trip: time.Millisecond, down: 1e9, up: 1e9}
	l.change = func(n int, x *transport.Exchange) error {
		switch {
		case n == 10:
			x.Took, x.RoundTrip = time.Second/2, time.Second/2
		case n > 20 && n < 25:
			return transport.ErrNoSession
		case x.Padding > 0 && l.stats.Damage.Bytes == 0:
			x.Padding -= 4096
			l.stats.Damage = wire.Damage{Bytes: 5, Records: 1}
		}
		return nil
	}
	f := measure(t, l)
	if f.Stalls != 1 || f.Longest != time.Second/2 || f.Lost != 4096 || f.Damage != l.stats.Damage || f.Ended != 1 || f.Percentile(1) != time.Second/2 {
		t.Errorf("got %+v", f.Entries())
	}
	l = &fakeLine{trip: 1, down: 1, up: 1, change: func(int, *transport.Exchange) error { return transport.ErrNoProbe }}
	if _, err := Measure(t.Context(), l, time.Second); !errors.Is(err, transport.ErrNoProbe) {
		t.Errorf("a sender that cannot: %v", err)
	}
}

func TestEntries(t *testing.T) {
	f := Figures{
		Trips: []time.Duration{20 * time.Microsecond, 30 * time.Microsecond}, Longest: 8 * time.Millisecond, Stalls: 1,
		Down: Rate{2_500_000_000, 2 * time.Second}, Up: Rate{300_000, 2 * time.Second}, Lost: 4096, Damage: wire.Damage{Records: 1, Bytes: 77}, Ended: 2,
	}
	want := `The line
    round trip    p50 0.030 ms, p99 0.030 ms, max 0.030 ms (2 on the idle line)
    to the viewer 1250 MB/s (2500 MB in 2.0 s)
    from it       0 MB/s (0 MB in 2.0 s)
    stalls        1 over 250ms; longest exchange 8.000 ms
    damage        1 records, 77 bytes
    losses        4096 bytes; sessions that ended: 2
`
	var b strings.Builder
	if err := Print(&b, "The line", f.Entries()); err != nil || b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
