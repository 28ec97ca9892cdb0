package pattern

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"time"
)

// The code is a grid of black and white cells in the top quarter of the picture,
// row by row, most significant bit first: large enough to survive JPEG, scaling
// and a screenshot.
const (
	codeColumns = 16
	codeRows    = 6
	codeShare   = 4 // of the height: one in codeShare
	codeBytes   = codeColumns * codeRows / 8
)

// Stamp is what the code says.
type Stamp struct {
	Counter uint32    // of the picture, from 0
	Time    time.Time // when it was captured, to the microsecond; wall clock
}

// ErrNoCode says that the picture holds no code, or one that is damaged.
var ErrNoCode = errors.New("picture holds no readable code")

func (s Stamp) encode(code *[codeBytes]byte) {
	binary.BigEndian.PutUint32(code[:], s.Counter)
	micros := uint64(s.Time.UnixMicro())
	binary.BigEndian.PutUint16(code[4:], uint16(micros>>32))
	binary.BigEndian.PutUint32(code[6:], uint32(micros))
	binary.BigEndian.PutUint16(code[10:], checksum(code))
}

// checksum never makes a code of all black or all white cells a good one.
func checksum(code *[codeBytes]byte) uint16 {
	return uint16(crc32.ChecksumIEEE(code[:10]))
}

func decodeStamp(code *[codeBytes]byte, near time.Time) (Stamp, error) {
	if binary.BigEndian.Uint16(code[10:]) != checksum(code) {
		return Stamp{}, ErrNoCode
	}
	low := uint64(binary.BigEndian.Uint16(code[4:]))<<32 | uint64(binary.BigEndian.Uint32(code[6:]))
	high := uint64(near.UnixMicro()) >> 48 << 48 // 48 bits last nine years
	return Stamp{
		Counter: binary.BigEndian.Uint32(code[:]),
		Time:    time.UnixMicro(int64(high | low)),
	}, nil
}

// ReadLuma reads the code from a picture of which luma(x, y) is the brightness.
// bounds is where the picture lies; it may be scaled.
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

// ReadImage reads the code from the part of a picture that bounds selects.
func ReadImage(img image.Image, bounds image.Rectangle) (Stamp, error) {
	return ReadLuma(bounds, func(x, y int) byte {
		r, g, b, _ := img.At(x, y).RGBA()
		return byte((299*r + 587*g + 114*b) / 1000 >> 8)
	})
}
