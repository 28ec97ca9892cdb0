package codec

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// slow is an encoder that takes a random time, and fails now and then.
type slow struct {
	passer
	random *rand.Rand
}

func (s *slow) Encode(f *capture.Frame) (*capture.Frame, error) {
	time.Sleep(time.Duration(s.random.IntN(100)) * time.Millisecond)
	if f.Sequence%7 == 0 {
		defer f.Release()
		return nil, ErrDamaged
	}
	return f, nil
}

func TestPump(t *testing.T) {
	for n := 1; n <= 4; n++ {
		synctest.Test(t, func(t *testing.T) {
			pool := newPool(t)
			encoders := make([]Encoder, n)
			for i := range encoders {
				encoders[i] = &slow{random: rand.New(rand.NewPCG(1, uint64(i)))}
			}
			in := make(chan *capture.Frame)
			go func() {
				defer close(in)
				for i := range 300 {
					f := pool.Get(0)
					f.Sequence = uint32(i)
					in <- f
				}
			}()
			next := uint32(0)
			start := time.Now()
			Pump(encoders, in, func(f *capture.Frame, err error) {
				if next%7 == 0 && !errors.Is(err, ErrDamaged) || next%7 != 0 && f.Sequence != next {
					t.Fatalf("result %d is %v, %v", next, f, err)
				}
				if f != nil {
					f.Release()
				}
				next++
			})
			if next != 300 {
				t.Errorf("%d results", next)
			}
			t.Logf("%d encoders: %v", n, time.Since(start))
		})
	}
}

// TestPumpEmpty: closing ends it at once.
func TestPumpEmpty(t *testing.T) {
	in := make(chan *capture.Frame)
	close(in)
	Pump([]Encoder{&passer{}, &passer{}}, in, func(*capture.Frame, error) { t.Error("a result of nothing") })
}
