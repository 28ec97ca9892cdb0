package audio

import (
	"math"
	"testing"
)

// TestPeak: the loudest sample counts, of either sign, and silence is no number.
func TestPeak(t *testing.T) {
	for _, c := range []struct {
		samples []byte
		peak    float64
	}{
		{nil, 0}, {[]byte{0, 0, 0, 0}, 0}, {[]byte{0, 0x80}, 1}, {[]byte{1, 0, 0, 0x40, 3, 0}, 0.5},
		{[]byte{0, 0x40, 0, 0xa0, 7}, 0.75}, // half a sample is none
	} {
		if got := Peak(c.samples); got != c.peak {
			t.Errorf("%v: %v, want %v", c.samples, got, c.peak)
		}
	}
	if Decibels(1) != 0 || math.Abs(Decibels(0.5)+6.02) > 0.01 || !math.IsInf(Decibels(0), -1) {
		t.Errorf("%v, %v, %v", Decibels(1), Decibels(0.5), Decibels(0))
	}
}
