package audio

import (
	"encoding/binary"
	"math"

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
	for size := r.channels * sampleBytes; len(samples) >= size; samples = samples[size:] {
		for c := range r.channels {
			l := &r.last[c]
			l[0], l[1], l[2] = l[1], l[2], l[3]
			l[3] = float64(int16(binary.LittleEndian.Uint16(samples[c*sampleBytes:])))
		}
		for ; r.place < 1; r.place += step {
			dst = r.appendSample(dst)
		}
		r.place--
	}
	return dst
}

// appendSample appends the sample at the place.
func (r *resampler) appendSample(dst []byte) []byte {
	x := r.place
	for c := range r.channels {
		l := &r.last[c]
		a := -l[0]/2 + 1.5*l[1] - 1.5*l[2] + l[3]/2
		b := l[0] - 2.5*l[1] + 2*l[2] - l[3]/2
		v := ((a*x+b)*x+(l[2]-l[0])/2)*x + l[1]
		v = min(max(math.Round(v), math.MinInt16), math.MaxInt16)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(int16(v)))
	}
	return dst
}

// reset forgets the samples before, behind which there is silence now.
func (r *resampler) reset() { r.last = [capture.MaxChannels][4]float64{} }
