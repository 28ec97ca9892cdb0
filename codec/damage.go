package codec

import (
	"errors"
	"sync/atomic"

	"github.com/tbcam/tbcam/capture"
)

// ErrDamaged is what errors about one picture's content wrap: skip the picture
// and go on.
var ErrDamaged = errors.New("damaged picture")

// ErrNoRoom is returned where a pool has no room for a frame now. It costs only
// this frame.
var ErrNoRoom = errors.New("the pool has no room")

// Cause is why a picture was repaired or dropped. As an error it is ErrDamaged.
type Cause int

// The causes of a repair come first, from NoSOI on those of a drop.
const (
	JunkBefore  Cause = iota // bytes before SOI
	JunkBetween              // bytes between marker segments
	NoHuffman                // no Huffman tables: UVC lets cameras omit those of T.81 Annex K
	NoEOI
	JunkAfter // padding, or an older picture's rest, after EOI

	NoSOI
	NoSOF
	NoSOS
	Truncated   // ends within a marker segment or before the first scan
	Malformed   // a marker segment contradicts T.81
	Unsupported // lossless, arithmetic or 12-bit coding, CMYK, odd subsampling
	TooLarge    // wider or higher than capture.MaxDimension, or larger than capture.MaxFrame when decoded
	WrongSize   // not the stream's width and height, or not a raw picture's length
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

// Counts holds how often each cause occurred; one picture may need several repairs.
type Counts [NumCauses]uint64

// Dropped returns the number of pictures that were dropped.
func (c Counts) Dropped() (n uint64) {
	for _, k := range c[NoSOI:] {
		n += k
	}
	return n
}

// counters are Counts in the making, for one writer and any readers.
type counters struct{ n [NumCauses]atomic.Uint64 }

// Counts returns the numbers so far.
func (c *counters) Counts() (now Counts) {
	for i := range c.n {
		now[i] = c.n[i].Load()
	}
	return now
}

func (c *counters) count(cause Cause, happened bool) {
	if happened {
		c.n[cause].Add(1)
	}
}

// countError counts the cause that err wraps, if it wraps one.
func (c *counters) countError(err error) {
	var cause Cause
	if errors.As(err, &cause) {
		c.count(cause, true)
	}
}

// checkRaw reports what keeps f from being a raw picture, if anything.
func checkRaw(f *capture.Frame) error {
	switch err := f.Format.Check(); {
	case err != nil:
		return err
	case f.Format.Pixel.Compressed():
		return errors.New("the frame is compressed, not raw")
	case len(f.Data) != f.Format.Size():
		return WrongSize
	}
	return nil
}
