package container

import (
	"iter"
	"slices"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// sampleBytes is the size of a sample of one channel.
const sampleBytes = 2

// longestBlock bounds the samples per channel of a block of PCM: 100 ms, as a block is
// what players seek to and what is lost with a damage.
const longestBlock = capture.AudioRate / 10

// audioTrack is the second track of a recording, whose times follow from how many samples
// came before.
type audioTrack struct {
	format  capture.AudioFormat // zero where there is no audio
	samples int64               // per channel, so far
}

// exists reports whether the recording has audio.
func (a *audioTrack) exists() bool { return a.format.Channels > 0 }

// add counts so many bytes of samples.
func (a *audioTrack) add(bytes int) { a.samples += int64(bytes / a.format.SampleSize()) }

// length returns how long the audio lasts so far.
func (a *audioTrack) length() time.Duration { return capture.AudioDuration(a.samples) }

// milliseconds returns that length, rounded.
func (a *audioTrack) milliseconds() int64 { return a.length().Round(time.Millisecond).Milliseconds() }

// blocksOf returns samples in blocks of bounded size. Bytes behind the last whole sample
// are left out.
func (a *audioTrack) blocksOf(samples []byte) iter.Seq[[]byte] {
	size := a.format.SampleSize()
	return slices.Chunk(samples[:len(samples)/size*size], longestBlock*size)
}
