package codec

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// slow is an encoder that takes no time or a random one up to most, and fails
// now and then.
type slow struct {
	passer
	most time.Duration
}

func (s *slow) Encode(f *capture.Frame) (*capture.Frame, error) {
	time.Sleep(rand.N(s.most) * rand.N[time.Duration](2))
	if f.Sequence%7 == 0 {
		defer f.Release()
		return nil, ErrDamaged
	}
	return f, nil
}

// TestPump: with encoders that are slow in virtual time, and with fast ones.
func TestPump(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, most := range []time.Duration{1, 100 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) { testPump(t, n, most) })
		}
	}
}

func testPump(t *testing.T, n int, most time.Duration) {
	const frames = 2000
	pool := newPool(t)
	encoders := make([]Encoder, n)
	for i := range encoders {
		encoders[i] = &slow{most: most}
	}
	in := make(chan *capture.Frame)
	go func() {
		defer close(in)
		for i := range frames {
			f := pool.Get(0)
			f.Sequence = uint32(i)
			in <- f
		}
	}()
	next, start := uint32(0), time.Now()
	Pump(encoders, in, func(f *capture.Frame, err error) {
		if failed := next%7 == 0; failed != errors.Is(err, ErrDamaged) || !failed && f.Sequence != next {
			t.Errorf("result %d is %v, %v", next, f, err)
		}
		if f != nil {
			f.Release()
		}
		next++
	})
	if next != frames {
		t.Errorf("%d results", next)
	}
	if took, alone := time.Since(start), frames*most/4; n > 1 && most > 1 && took > alone*9/10 {
		t.Errorf("%d encoders took %v, one takes %v", n, took, alone)
	}
}

// TestPumpEmpty: closing ends it at once.
func TestPumpEmpty(t *testing.T) {
	in := make(chan *capture.Frame)
	close(in)
	Pump([]Encoder{&passer{}, &passer{}}, in, func(*capture.Frame, error) { t.Error("a result of nothing") })
}
