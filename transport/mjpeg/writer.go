package mjpeg

import (
	"errors"
	"fmt"

	"github.com/tbcam/tbcam/codec/jfif"
)

// blockSize is what GStreamer's filesrc reads at a time, and what a USB4STREAM
// packet holds: an image that ends with a block is shown when it was written.
const blockSize = 4096

// comHead is the length of a COM segment's marker and length field.
const comHead = 4

// Writer writes images so that each can be shown immediately: after an image it
// writes the SOI of the next one, by which FFmpeg's parser knows that the image
// is complete, and a comment that fills the block.
type Writer struct {
	write   func(bufs [][]byte) error
	begun   bool // the SOI of the next image is written
	padding []byte
	bufs    [2][]byte
}

// NewWriter returns a Writer that passes what it writes, one image per call, to a
// function that must write all of the buffers or fail.
func NewWriter(write func(bufs [][]byte) error) *Writer {
	return &Writer{write: write, padding: make([]byte, 2*blockSize)}
}

// ErrNotJPEG is returned when an image does not begin with SOI.
var ErrNotJPEG = errors.New("not a JPEG")

// Write writes one JPEG file, which it does not keep.
func (w *Writer) Write(jpeg []byte) error {
	if len(jpeg) < 2 || jpeg[0] != 0xFF || jpeg[1] != jfif.SOI {
		return fmt.Errorf("write mjpeg: %w", ErrNotJPEG)
	}
	if w.begun {
		jpeg = jpeg[2:]
	}
	w.begun = true
	w.bufs = [...][]byte{jpeg, w.blockTail(len(jpeg))}
	if err := w.write(w.bufs[:]); err != nil {
		return fmt.Errorf("write mjpeg: %w", err)
	}
	return nil
}

// blockTail returns the next SOI and the comment that fills the block after n bytes.
func (w *Writer) blockTail(n int) []byte {
	const least = 2 + comHead
	size := least + (blockSize-(n+least)%blockSize)%blockSize
	length := size - 2 - 2 // of the segment without its marker
	tail := w.padding[:size]
	copy(tail, []byte{0xFF, jfif.SOI, 0xFF, jfif.COM, byte(length >> 8), byte(length)})
	return tail
}
