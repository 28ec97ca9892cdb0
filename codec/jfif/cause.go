package jfif

import "errors"

// ErrDamaged is wrapped by errors about the content of one frame: skip the frame
// and go on.
var ErrDamaged = errors.New("damaged frame")

// Cause is why a frame was repaired or dropped. As an error it is ErrDamaged.
type Cause int

// The causes of a repair come first, from NoSOI on those of a drop.
const (
	JunkBefore  Cause = iota // bytes before SOI
	JunkBetween              // bytes between marker segments
	NoHuffman                // no Huffman tables: UVC lets cameras omit those of T.81 Annex K
	NoEOI
	JunkAfter // padding, or the rest of an older frame, after EOI

	NoSOI
	NoSOF
	NoSOS
	Truncated   // ends within a marker segment or before the first scan
	Malformed   // a marker segment contradicts T.81
	Unsupported // lossless, arithmetic or 12-bit coding, CMYK, odd subsampling
	TooLarge    // wider or higher than capture.MaxDimension, or larger than capture.MaxFrame when decoded
	WrongSize   // not the stream's width and height, or not the length of a raw frame
	BadData     // the entropy-coded data is corrupt; only decoding shows it

	NumCauses
)

var causeTexts = [NumCauses]string{
	"bytes before SOI", "bytes between markers", "no Huffman tables", "no EOI", "bytes after EOI",
	"no SOI", "no SOF", "no SOS", "truncated header", "malformed header", "unsupported kind of JPEG",
	"too large", "wrong size", "corrupt image data",
}

// String returns a few words for statistics.
func (c Cause) String() string { return causeTexts[c] }

// Error returns the words of ErrDamaged and those of the cause.
func (c Cause) Error() string { return ErrDamaged.Error() + ": " + c.String() }

// Is makes every cause an ErrDamaged.
func (c Cause) Is(target error) bool { return target == ErrDamaged }

// Counts holds how often each cause occurred; one frame may need several repairs.
type Counts [NumCauses]uint64

// Dropped returns the number of frames that were dropped.
func (c Counts) Dropped() (n uint64) {
	for _, k := range c[NoSOI:] {
		n += k
	}
	return n
}
