package pattern

import (
	"hash/crc32"

	"github.com/tbcam/tbcam/capture"
)

// The number of a block is coded as symbols that fill it, most significant bit first:
// each is one period of a square wave, which begins low for 0 and high for 1. So the
// code has no DC, lies around 2.4 kHz, and survives resampling by some hundred ppm,
// filters and another loudness.
const (
	symbolSamples = 20
	symbolCount   = capture.AudioBlock / symbolSamples
	numberBits    = 14
	checksumBits  = symbolCount - numberBits
)

// BlockNumbers is how many numbers there are: they start over after 163 s.
const BlockNumbers = 1 << numberBits

// encodeBlockNumber returns the symbols of a number, the first one in the highest bit
// of symbolCount.
func encodeBlockNumber(n int) uint32 {
	number := uint32(n) & (BlockNumbers - 1)
	return number<<checksumBits | numberChecksum(number)
}

// numberChecksum never makes symbols that are all the same a good code.
func numberChecksum(number uint32) uint32 {
	return crc32.ChecksumIEEE([]byte{byte(number >> 8), byte(number)}) & (1<<checksumBits - 1)
}

// codeSample returns sample i of a block with these symbols.
func codeSample(bits uint32, i int) int16 {
	high := bits>>(symbolCount-1-i/symbolSamples)&1 == 1
	if i%symbolSamples >= symbolSamples/2 {
		high = !high
	}
	if high {
		return codeLevel
	}
	return -codeLevel
}

// Block is a code that was found in samples.
type Block struct {
	Number int // modulo BlockNumbers
	At     int // index of its first sample
}

// near is the number of places around the end of a block where the next one may begin: a
// rate that is off by 0.5 % moves it by 2.4 samples.
const near = 6

// ReadBlocks returns the codes in samples of one channel, in their order. Blocks with a
// click or a tone have none.
func ReadBlocks(samples []int16) []Block {
	var found []Block
	for at := 0; at+capture.AudioBlock <= len(samples); {
		b, ok := findBlock(samples, at, near)
		if !ok {
			b, ok = searchBlock(samples, at)
		}
		if !ok {
			at += capture.AudioBlock
			continue
		}
		found = append(found, b)
		at = b.At + capture.AudioBlock - near/2
	}
	return found
}

// searchBlock finds a code that begins anywhere in a block from a place on. One in a
// thousand places of anything like a code has a checksum that fits, so the next block has
// to have the next number.
func searchBlock(samples []int16, from int) (Block, bool) {
	for at := from; at < from+capture.AudioBlock; at++ {
		b, ok := findBlock(samples, at, near)
		if !ok {
			continue
		}
		next, ok := findBlock(samples, b.At+capture.AudioBlock-near/2, near)
		if ok && next.Number == (b.Number+1)%BlockNumbers {
			return b, true
		}
	}
	return Block{}, false
}

// findBlock returns the code that begins at one of several places: of those where the
// checksum fits the one where the symbols are clearest.
func findBlock(samples []int16, from, places int) (best Block, ok bool) {
	clearest := 0
	for at := from; at < from+places && at+capture.AudioBlock <= len(samples); at++ {
		number, clarity, fits := decodeBlock(samples[at:])
		if fits && clarity > clearest {
			best, clearest, ok = Block{number, at}, clarity, true
		}
	}
	return best, ok
}

// decodeBlock reads the code that begins with the samples. Clarity is how much of the
// weakest symbol is like one: a symbol that is out of place has halves that cancel out.
func decodeBlock(samples []int16) (number, clarity int, fits bool) {
	const clear, loud = 600, symbolSamples * codeLevel / 32
	var bits uint32
	clarity = 1000
	for s := range symbolCount {
		correlation, loudness := correlateSymbol(samples[s*symbolSamples:])
		if loudness < loud {
			return 0, 0, false
		}
		bits <<= 1
		if correlation > 0 {
			bits |= 1
		}
		clarity = min(clarity, max(correlation, -correlation)*1000/loudness)
	}
	coded := bits >> checksumBits
	return int(coded), clarity, clarity > clear && numberChecksum(coded) == bits&(1<<checksumBits-1)
}

// correlateSymbol compares samples with a symbol of 1; that of 0 is its negative.
func correlateSymbol(samples []int16) (correlation, loudness int) {
	for i, v := range samples[:symbolSamples] {
		loudness += max(int(v), -int(v))
		if i < symbolSamples/2 {
			correlation += int(v)
		} else {
			correlation -= int(v)
		}
	}
	return correlation, loudness
}

// FindClicks returns the index of the first sample of each click in samples of one
// channel, at full loudness.
func FindClicks(samples []int16) []int {
	const threshold = (clickLevel + toneLevel) / 2
	var clicks []int
	quietFrom := 0 // no click begins before
	for i, v := range samples {
		if v > threshold && i >= quietFrom {
			clicks = append(clicks, i)
			quietFrom = i + capture.AudioRate/2
		}
	}
	return clicks
}
