package audio

import (
	"bytes"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// TestConvert: one channel becomes two of the same, and the mean of two is one.
func TestConvert(t *testing.T) {
	mono := []byte{1, 2, 0xff, 0x7f, 0, 0x80}
	stereo := []byte{1, 2, 1, 2, 0xff, 0x7f, 0xff, 0x7f, 0, 0x80, 0, 0x80}
	for _, c := range []struct {
		from, to      capture.AudioFormat
		samples, want []byte
	}{
		{capture.Mono, capture.Mono, mono, mono},
		{capture.Stereo, capture.Stereo, stereo, stereo},
		{capture.Mono, capture.Stereo, mono, stereo},
		{capture.Stereo, capture.Mono, stereo, mono},
		{capture.Stereo, capture.Mono, []byte{0xff, 0x7f, 0, 0x80, 0x10, 0, 0x20, 0}, []byte{0, 0, 0x18, 0}},
	} {
		if got := Convert(nil, c.samples, c.from, c.to); !bytes.Equal(got, c.want) {
			t.Errorf("%v to %v: % x, want % x", c.from, c.to, got, c.want)
		}
	}
	room := make([]byte, 0, 2*len(mono))
	if n := testing.AllocsPerRun(10, func() { Convert(room, mono, capture.Mono, capture.Stereo) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
