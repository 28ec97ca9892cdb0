package audio

import (
	"encoding/binary"
	"math"
)

// Peak returns the loudest of the samples, S16LE: 1 for full scale.
func Peak(samples []byte) float64 {
	loudest := 0
	for ; len(samples) >= 2; samples = samples[2:] {
		v := int(int16(binary.LittleEndian.Uint16(samples)))
		loudest = max(loudest, v, -v)
	}
	return float64(loudest) / -math.MinInt16
}

// Decibels returns a peak in dBFS: 0 for full scale, and minus infinity for silence.
func Decibels(peak float64) float64 { return 20 * math.Log10(peak) }
