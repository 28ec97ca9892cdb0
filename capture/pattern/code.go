package pattern

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"time"
)

// The code is a grid of black and white cells in the top quarter of the frame,
// row by row, most significant bit first: large enough to survive JPEG, scaling
// and a screenshot.
const (
	codeColumns = 16
	codeRows    = 6
	codeShare   = 4 // of the height: one in codeShare
	codeBytes   = codeColumns * codeRows / 8
)

// Stamp is what the code holds.
type Stamp struct {
	Camera  int       // number of the test camera, from 1
	Counter uint32    // of the frame, from 0
	Time    time.Time // when it was captured, to the microsecond; wall clock
}

// ErrNoCode is returned when a frame holds no code, or one that is damaged.
var ErrNoCode = errors.New("frame holds no readable code")

// The time is the low bits of microseconds since 1970: what 203 days take. The four
// bits above are the camera's, less one.
const timeBits = 44

func (s Stamp) encodeTo(code *[codeBytes]byte) {
	binary.BigEndian.PutUint32(code[:], s.Counter)
	low := uint64(s.Camera-1)<<timeBits | uint64(s.Time.UnixMicro())&(1<<timeBits-1)
	binary.BigEndian.PutUint16(code[4:], uint16(low>>32))
	binary.BigEndian.PutUint32(code[6:], uint32(low))
	binary.BigEndian.PutUint16(code[10:], codeChecksum(code))
}

// codeChecksum never makes a code of all black or all white cells a good one.
func codeChecksum(code *[codeBytes]byte) uint16 {
	return uint16(crc32.ChecksumIEEE(code[:10]))
}

func decodeStamp(code *[codeBytes]byte, near time.Time) (Stamp, error) {
	if binary.BigEndian.Uint16(code[10:]) != codeChecksum(code) {
		return Stamp{}, ErrNoCode
	}
	low := int64(binary.BigEndian.Uint16(code[4:]))<<32 | int64(binary.BigEndian.Uint32(code[6:]))
	// Of all times with these low bits, the nearest one is meant.
	const span = 1 << timeBits
	since := (low - near.UnixMicro()) & (span - 1)
	if since >= span/2 {
		since -= span
	}
	return Stamp{
		Camera:  int(low>>timeBits) + 1,
		Counter: binary.BigEndian.Uint32(code[:]),
		Time:    time.UnixMicro(near.UnixMicro() + since),
	}, nil
}

// ReadLuma reads the code from a frame of which luma(x, y) is the brightness.
// bounds is where the frame lies; it may be scaled.
func ReadLuma(bounds image.Rectangle, luma func(x, y int) byte) (Stamp, error) {
	var code [codeBytes]byte
	for i := range codeColumns * codeRows {
		x := bounds.Min.X + (2*(i%codeColumns)+1)*bounds.Dx()/(2*codeColumns)
		y := bounds.Min.Y + (2*(i/codeColumns)+1)*bounds.Dy()/(2*codeRows*codeShare)
		if luma(x, y) >= 128 {
			code[i/8] |= 0x80 >> (i % 8)
		}
	}
	return decodeStamp(&code, time.Now())
}

// ReadImage reads the code from the part of an image that bounds selects.
func ReadImage(img image.Image, bounds image.Rectangle) (Stamp, error) {
	return ReadLuma(bounds, func(x, y int) byte {
		r, g, b, _ := img.At(x, y).RGBA()
		return byte((299*r + 587*g + 114*b) / 1000 >> 8)
	})
}
