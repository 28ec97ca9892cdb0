package container

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"github.com/tbcam/tbcam/capture"
)

// Samples per channel of a FLAC frame (RFC 9639): only the last one may be shorter than
// the smallest one. Their sizes vary, so that a flush can write all.
const (
	smallestFLAC = 16
	largestFLAC  = 4096
)

// flacEncoder makes FLAC frames of samples. Each begins and ends by itself, so that
// what was lost takes nothing with it.
type flacEncoder struct {
	format  capture.AudioFormat
	out     bytes.Buffer
	encoder *flac.Encoder
	frame   frame.Frame
}

func newFLACEncoder(format capture.AudioFormat) (*flacEncoder, error) {
	e := &flacEncoder{format: format}
	e.frame.Header = frame.Header{
		SampleRate: uint32(format.Rate), BitsPerSample: 8 * sampleBytes,
		Channels: map[int]frame.Channels{1: frame.ChannelsMono, 2: frame.ChannelsLR}[format.Channels],
	}
	for range format.Channels {
		e.frame.Subframes = append(e.frame.Subframes, &frame.Subframe{})
	}
	var err error
	e.encoder, err = flac.NewEncoder(&e.out, &meta.StreamInfo{
		BlockSizeMin: smallestFLAC, BlockSizeMax: largestFLAC,
		SampleRate: uint32(format.Rate), NChannels: uint8(format.Channels), BitsPerSample: 8 * sampleBytes,
	})
	if err == nil {
		e.encoder.EnablePredictionAnalysis(false)
	}
	return e, err
}

// streamInfo returns the STREAMINFO block as a file begins with it. What is known at the
// end only is zero, which is unknown.
func streamInfo(format capture.AudioFormat) []byte {
	const channelsAt, bitsAt, rateAt = 41, 36, 44
	info := u16(smallestFLAC, largestFLAC)
	info = append(info, make([]byte, 6)...) // sizes of frames
	packed := uint64(format.Rate)<<rateAt | uint64(format.Channels-1)<<channelsAt | (8*sampleBytes-1)<<bitsAt
	info = append(info, u64(packed)...)
	return append(info, make([]byte, 16)...) // MD5
}

// encode returns a frame of at most largestFLAC samples per channel, which is valid until
// the next call.
func (e *flacEncoder) encode(samples []byte) ([]byte, error) {
	n := len(samples) / e.format.SampleSize()
	e.frame.BlockSize = uint16(n)
	for c, sub := range e.frame.Subframes {
		sub.NSamples = n
		sub.Samples = sub.Samples[:0]
		for i := c * sampleBytes; i+1 < len(samples); i += e.format.SampleSize() {
			sub.Samples = append(sub.Samples, int32(int16(binary.LittleEndian.Uint16(samples[i:]))))
		}
		choosePrediction(sub)
	}
	e.out.Reset()
	err := e.encoder.WriteFrame(&e.frame)
	return e.out.Bytes(), err
}

// choosePrediction chooses how the samples of a channel are predicted: by none, one or two
// of those before, whichever leaves the smallest rest. The library's own choice tries
// all orders with all parameters, and took 210 us for 10 ms of two channels
// where this takes 150.
func choosePrediction(sub *frame.Subframe) {
	sub.SubHeader = frame.SubHeader{Pred: frame.PredVerbatim}
	if sub.NSamples < smallestFLAC {
		return
	}
	var rest [3]uint64
	for i := 2; i < sub.NSamples; i++ {
		a, b, c := sub.Samples[i-2], sub.Samples[i-1], sub.Samples[i]
		for order, d := range [3]int32{c, c - b, c - 2*b + a} {
			rest[order] += uint64(max(d, -d))
		}
	}
	best := 0
	for order := range rest {
		if rest[order] < rest[best] {
			best = order
		}
	}
	// A Rice parameter of the mean's length is within a few per cent of the best one.
	const largestParameter = 14
	parameter := bits.Len64(rest[best] / uint64(sub.NSamples) / 2)
	sub.SubHeader = frame.SubHeader{
		Pred: frame.PredFixed, Order: best, ResidualCodingMethod: frame.ResidualCodingMethodRice1,
		RiceSubframe: &frame.RiceSubframe{Partitions: []frame.RicePartition{{Param: uint(min(parameter, largestParameter))}}},
	}
}

// tornFLAC reports whether a FLAC frame is not all there, by the CRC-16 at its end.
func tornFLAC(data []byte) bool {
	const polynomial = 0x8005
	crc := uint16(0)
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*polynomial
		}
	}
	return crc != 0 || data[0] != 0xFF
}
