package audio

import (
	"encoding/binary"

	"github.com/tbcam/tbcam/capture"
)

// Convert returns samples with another number of channels: one becomes two of the same, and
// of two it is the mean. What is converted is appended to room; samples that are as wanted
// are returned as they are.
func Convert(room, samples []byte, from, to capture.AudioFormat) []byte {
	switch {
	case from.Channels == to.Channels:
		return samples
	case from.Channels == 1:
		return appendStereo(room, samples)
	}
	return appendMono(room, samples)
}

func appendStereo(dst, mono []byte) []byte {
	for ; len(mono) >= sampleBytes; mono = mono[sampleBytes:] {
		dst = append(dst, mono[0], mono[1], mono[0], mono[1])
	}
	return dst
}

func appendMono(dst, stereo []byte) []byte {
	for ; len(stereo) >= 2*sampleBytes; stereo = stereo[2*sampleBytes:] {
		left, right := int16(binary.LittleEndian.Uint16(stereo)), int16(binary.LittleEndian.Uint16(stereo[sampleBytes:]))
		dst = binary.LittleEndian.AppendUint16(dst, uint16((int32(left)+int32(right))/2))
	}
	return dst
}
