package audio

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/tbcam/tbcam/capture"
)

// resampler makes samples at another rate, which may change from block to block, by a
// cubic through four of them (Catmull-Rom). It is two samples late.
type resampler struct {
	channels int
	last     [capture.MaxChannels][4]float64 // samples of each channel, the newest last
	place    float64                         // of the next sample, between the middle two
}

// appendTo appends samples that are resampled to dst: adjust is how many more there are
// to be, per sample.
func (r *resampler) appendTo(dst, samples []byte, adjust float64) []byte {
	step := 1 / (1 + adjust)
	dst = slices.Grow(dst, len(samples)+len(samples)/64+2*r.channels*sampleBytes)
	place := r.place
	for size := r.channels * sampleBytes; len(samples) >= size; samples = samples[size:] {
		for c := range r.channels {
			l := &r.last[c]
			l[0], l[1], l[2] = l[1], l[2], l[3]
			l[3] = float64(int16(binary.LittleEndian.Uint16(samples[c*sampleBytes:])))
		}
		for ; place < 1; place += step {
			for c := range r.channels {
				v := interpolate(&r.last[c], place)
				dst = append(dst, byte(v), byte(v>>8))
			}
		}
		place--
	}
	r.place = place
	return dst
}

// interpolate returns the sample at a place between the middle two of four. It is called for
// each sample, and so small that it is compiled into its caller.
func interpolate(l *[4]float64, x float64) int16 {
	a := (l[3] - l[0] + 3*(l[1]-l[2])) / 2
	b := l[0] - 2.5*l[1] + 2*l[2] - l[3]/2
	v := ((a*x+b)*x+(l[2]-l[0])/2)*x + l[1]
	// Numbers that are not negative are rounded by cutting them off.
	return int16(int(min(max(v, math.MinInt16), math.MaxInt16)+0x8000+0.5) - 0x8000)
}

// reset forgets the samples before, behind which there is silence now.
func (r *resampler) reset() { r.last = [capture.MaxChannels][4]float64{} }
