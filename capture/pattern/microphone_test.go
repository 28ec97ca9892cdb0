package pattern_test

import (
	"encoding/binary"
	"errors"
	"image"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
)

// listen reads blocks of the test microphone, and returns the first channel.
func listen(t *testing.T, format capture.AudioFormat, blocks int) (samples []int16, first time.Time) {
	t.Helper()
	var pool capture.Pool
	m, err := pattern.OpenMicrophone(format, &pool)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for n := range blocks {
		f, err := m.Read()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = f.Time
		}
		if d := f.Time.Sub(first) - time.Duration(n)*capture.AudioPeriod; f.Sequence != uint32(n) || d != 0 {
			t.Errorf("block %d has number %d and is %v off", n, f.Sequence, d)
		}
		if early := time.Until(f.Time.Add(capture.AudioPeriod)); early > 0 {
			t.Errorf("block %d comes %v before its end", n, early)
		}
		for i := 0; i < len(f.Data); i += format.SampleSize() {
			samples = append(samples, int16(binary.LittleEndian.Uint16(f.Data[i:])))
			if c := format.Channels; c == 2 && f.Data[i] != f.Data[i+2] {
				t.Fatal("the channels differ")
			}
		}
		f.Release()
	}
	if pool.Outstanding() != 0 {
		t.Errorf("%d outstanding", pool.Outstanding())
	}
	return samples, first
}

// TestClickWithFlash: of all rates the click begins with the frame that flashes, and
// both lie on the full second, whenever they are opened.
func TestClickWithFlash(t *testing.T) {
	for i, rate := range []uint32{5, 15, 30, 60} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(i)*237*time.Millisecond + 1)
			var flashes []time.Time
			mode := capture.Mode{Pixel: capture.NV12, Width: 160, Height: 120, Rate: capture.Rate{Num: rate, Den: 1}}
			s, _ := openCamera(t, mode)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 3*int(rate) + 1 {
					f, err := s.Read()
					if err != nil {
						t.Error(err)
						return
					}
					if pattern.IsFlash(image.Rect(0, 0, 160, 120), luma(f)) {
						flashes = append(flashes, f.Time)
					}
					f.Release()
				}
			}()
			time.Sleep(3 * time.Millisecond)
			samples, first := listen(t, capture.Stereo, 300)
			<-done
			clicks := pattern.FindClicks(samples)
			if len(clicks) != 3 || len(flashes) < 3 {
				t.Fatalf("%d/s: %d clicks, %d flashes", rate, len(clicks), len(flashes))
			}
			for n, click := range clicks {
				at := first.Add(capture.AudioDuration(int64(click)))
				if d := at.Sub(flashes[n]).Abs(); d > 21*time.Microsecond || at.Nanosecond() > 21000 {
					t.Errorf("%d/s: click %d is %v from the flash, at %v", rate, n, d, at)
				}
			}
		})
	}
}

// resampled returns samples at a rate that is off by some ppm, from a fraction of a
// sample on, and at another loudness.
func resampled(samples []int16, ppm, offset, gain float64) []int16 {
	var out []int16
	for i := 0; ; i++ {
		at := offset + float64(i)*(1+ppm/1e6)
		whole, part := int(at), at-math.Floor(at)
		if whole+1 >= len(samples) {
			return out
		}
		out = append(out, int16(gain*((1-part)*float64(samples[whole])+part*float64(samples[whole+1]))))
	}
}

// TestBlockNumbersSurvive: each block that has a code is read after resampling, none is
// read that is not there, and a gap shows in numbers and in places.
func TestBlockNumbersSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples, _ := listen(t, capture.Mono, 400)
		for _, c := range []struct{ ppm, offset, gain float64 }{{0, 0, 1}, {200, 0.5, 0.5}, {-300, 123.7, 0.25}, {2000, 7.3, 1}} {
			heard := resampled(samples, c.ppm, c.offset, c.gain)
			blocks := pattern.ReadBlocks(heard)
			if len(blocks) < 297 || len(blocks) > 300 {
				t.Errorf("%+v: read %d blocks of 300", c, len(blocks))
			}
			for _, b := range blocks {
				want := (float64(b.Number*capture.AudioBlock) - c.offset) / (1 + c.ppm/1e6)
				if d := float64(b.At) - want; math.Abs(d) > 3 {
					t.Fatalf("%+v: block %d is %.1f samples off", c, b.Number, d)
				}
			}
		}
		const from, missing = 60 * capture.AudioBlock, 7 * capture.AudioBlock
		gap := slices.Concat(samples[:from], samples[from+missing:])
		last := -1
		for _, b := range pattern.ReadBlocks(gap) {
			if b.Number == 67 && (last != 59 || b.At != from) {
				t.Errorf("block 67 is at %d, behind block %d", b.At, last)
			}
			last = b.Number
		}
		if last != 399 {
			t.Errorf("the last block is %d", last)
		}
		noise := make([]int16, 100*capture.AudioBlock)
		for i := range noise {
			noise[i] = int16(i * i * 7919)
		}
		if blocks := pattern.ReadBlocks(noise); len(blocks) > 1 || len(pattern.ReadBlocks(make([]int16, 9000))) > 0 {
			t.Errorf("read %v of noise", blocks)
		}
	})
}

// TestLateListener: blocks wait for a reader up to a second; older ones are counted.
func TestLateListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := pattern.OpenMicrophone(capture.Mono, &capture.Pool{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, c := range []struct {
			pause time.Duration
			want  uint32
			lost  uint64
		}{{0, 0, 0}, {500 * time.Millisecond, 1, 0}, {2500 * time.Millisecond, 201, 199}} {
			time.Sleep(c.pause)
			f, err := m.Read()
			if err != nil || f.Sequence != c.want || m.Lost().Driver != c.lost {
				t.Errorf("after %v: block %d, %+v lost, %v; want %d and %d", c.pause, f.Sequence, m.Lost(), err, c.want, c.lost)
			}
		}
		go func() {
			time.Sleep(time.Second)
			m.Close()
			m.Close()
		}()
		for err = nil; err == nil; {
			_, err = m.Read()
		}
		if !errors.Is(err, capture.ErrClosed) {
			t.Errorf("Read returned %v", err)
		}
		if _, err := pattern.OpenMicrophone(capture.AudioFormat{Rate: 44100, Channels: 1}, nil); err == nil {
			t.Error("opened at another rate")
		}
	})
}
