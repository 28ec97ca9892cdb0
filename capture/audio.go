package capture

import (
	"fmt"
	"time"
)

// Audio is PCM: interleaved samples of 16 bits, signed and little-endian (S16LE).
const (
	// AudioRate is the only rate, in samples per second and channel. Sound servers
	// resample where a device has another one.
	AudioRate = 48000
	// MaxChannels is the largest number of channels.
	MaxChannels = 2
	// AudioBlock is the samples per channel of a block, which is one Frame of audio;
	// AudioPeriod is how long it lasts.
	AudioBlock  = 480
	AudioPeriod = 10 * time.Millisecond

	sampleBytes = 2
)

// AudioFormat describes audio. The zero value is none.
type AudioFormat struct {
	Rate     int `json:"rate"`     // samples per second and channel
	Channels int `json:"channels"` // 1 or 2, interleaved
}

// Mono and Stereo are the formats of audio.
var (
	Mono   = AudioFormat{AudioRate, 1}
	Stereo = AudioFormat{AudioRate, 2}
)

// String returns for instance "48000 Hz mono".
func (a AudioFormat) String() string {
	switch a.Channels {
	case 1:
		return fmt.Sprintf("%d Hz mono", a.Rate)
	case 2:
		return fmt.Sprintf("%d Hz stereo", a.Rate)
	}
	return fmt.Sprintf("%d Hz %d channels", a.Rate, a.Channels)
}

// SampleSize returns the bytes of one sample of all channels.
func (a AudioFormat) SampleSize() int { return sampleBytes * a.Channels }

// BlockSize returns the bytes of a block.
func (a AudioFormat) BlockSize() int { return AudioBlock * a.SampleSize() }

// Check reports what makes the format unusable, if anything.
func (a AudioFormat) Check() error {
	switch {
	case a.Rate != AudioRate:
		return fmt.Errorf("audio rate %d Hz: must be %d Hz", a.Rate, AudioRate)
	case a.Channels < 1 || a.Channels > MaxChannels:
		return fmt.Errorf("%d audio channels: must be 1 to %d", a.Channels, MaxChannels)
	}
	return nil
}

// AudioDuration returns how long so many samples per channel last.
func AudioDuration(samples int64) time.Duration {
	// Whole seconds apart, so that a recording of years does not overflow.
	return time.Duration(samples/AudioRate)*time.Second + time.Duration(samples%AudioRate)*time.Second/AudioRate
}

// AudioSamples returns how many samples per channel last that long, rounded.
func AudioSamples(d time.Duration) int64 {
	seconds, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second / 2)
	if rest < 0 {
		half = -half
	}
	return seconds*AudioRate + (rest*AudioRate+half)/int64(time.Second)
}
