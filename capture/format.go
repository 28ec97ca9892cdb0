package capture

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Matrix is the matrix between R'G'B' and Y'CbCr.
type Matrix uint8

// The matrices; BT.601 is the one of JPEG (JFIF) and of almost every webcam.
const (
	BT601 Matrix = iota
	BT709
)

// Range is the quantization range of Y'CbCr samples.
type Range uint8

// Limited is 16..235 for Y' and 16..240 for Cb and Cr, Full is 0..255.
const (
	Limited Range = iota
	Full
)

// Format describes the frames of a stream, video or audio. Raw video is packed: a line
// follows the last directly, without the padding that a driver may add.
type Format struct {
	Pixel  PixelFormat `json:"format"`
	Width  int         `json:"width"`  // pixels
	Height int         `json:"height"` // pixels
	Matrix Matrix      `json:"matrix"`
	Range  Range       `json:"range"`
	// Audio is the format of audio, of which all other fields are zero.
	Audio AudioFormat `json:"audio,omitzero"`
}

// IsAudio reports whether the frames are blocks of audio.
func (f Format) IsAudio() bool { return f.Audio != AudioFormat{} }

// String returns for instance "mjpeg 1920x1080", or "48000 Hz mono".
func (f Format) String() string {
	if f.IsAudio() {
		return f.Audio.String()
	}
	return fmt.Sprintf("%v %dx%d", f.Pixel, f.Width, f.Height)
}

// MarshalJSON leaves out of audio what only video has.
func (f Format) MarshalJSON() ([]byte, error) {
	if f.IsAudio() {
		return json.Marshal(struct {
			Audio AudioFormat `json:"audio"`
		}{f.Audio})
	}
	type plain Format
	return json.Marshal(plain(f))
}

// Plane is one plane of a raw frame.
type Plane struct {
	Offset int // of its first byte in the frame
	Stride int // bytes per line
	Lines  int
}

// Planes returns where the planes of a raw format lie, in the order of memory:
// for YVU420 the second is Cr. It returns none for a compressed format.
func (f Format) Planes() (planes [3]Plane, n int) {
	offset := 0
	for i, p := range f.Pixel.Info().planes {
		stride := (f.Width + p.subX - 1) / p.subX * p.bytes
		lines := (f.Height + p.subY - 1) / p.subY
		planes[i] = Plane{offset, stride, lines}
		offset += stride * lines
		n++
	}
	return planes, n
}

// Size returns the bytes of a raw frame or a block of audio, 0 for a compressed format.
func (f Format) Size() int {
	if f.IsAudio() {
		return f.Audio.BlockSize()
	}
	planes, n := f.Planes()
	if n == 0 {
		return 0
	}
	last := planes[n-1]
	return last.Offset + last.Stride*last.Lines
}

// MaxDimension is the largest width and height accepted anywhere.
const MaxDimension = 8192

// Check reports what makes the format unusable for video, if anything. Audio has
// AudioFormat.Check.
func (f Format) Check() error {
	switch {
	case f.IsAudio():
		return fmt.Errorf("%v is no video", f.Audio)
	case !f.Pixel.Supported():
		return fmt.Errorf("pixel format %s is not supported", f.Pixel.FourCC())
	case f.Width < 1 || f.Height < 1 || f.Width > MaxDimension || f.Height > MaxDimension:
		return fmt.Errorf("size %dx%d: must be 1x1 to %dx%d", f.Width, f.Height, MaxDimension, MaxDimension)
	case !slices.Contains([]Matrix{BT601, BT709}, f.Matrix):
		return fmt.Errorf("matrix %d is unknown", f.Matrix)
	case !slices.Contains([]Range{Limited, Full}, f.Range):
		return fmt.Errorf("range %d is unknown", f.Range)
	}
	return nil
}
