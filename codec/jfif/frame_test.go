package jfif

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// TestHeaderOf: a frame is parsed once for all its holders, and again with its next
// content; the buffer's memory for that is used again.
func TestHeaderOf(t *testing.T) {
	jpeg, err := os.ReadFile("../../fixtures/jpeg/good-420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	var pool capture.Pool
	f := pool.Get(len(jpeg) + 2)
	copy(f.Data, jpeg)
	copy(f.Data[len(jpeg):], "xx")
	var holders sync.WaitGroup
	for range 4 {
		holders.Go(func() {
			if h, err := HeaderOf(f); err != nil || h.Width != 160 || h.End != len(jpeg) || !h.Needs(JunkAfter) {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
	holders.Wait()
	f.Data[0] = 0 // it is not parsed again
	f.Data = f.Data[:len(jpeg)]
	if h, err := HeaderOf(f); err != nil || h.Needs(JunkAfter) {
		t.Errorf("cut short: %+v, %v", h, err)
	}
	f.Release()

	allocations := testing.AllocsPerRun(100, func() {
		f := pool.Get(len(jpeg))
		copy(f.Data, jpeg)
		if _, err := HeaderOf(f); err != nil {
			t.Error(err)
		}
		f.Release()
	})
	if allocations != 0 {
		t.Errorf("%v allocations for a frame of the pool", allocations)
	}
	f = pool.Get(4)
	copy(f.Data, "text")
	if _, err := HeaderOf(f); !errors.Is(err, NoSOI) {
		t.Errorf("after a good one in the same buffer: %v", err)
	}
	f.Release()
}
