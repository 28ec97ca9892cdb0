package codec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// Kind is what an encoder does to captured frames.
type Kind int

// Auto is resolved by Choose: Copy for a camera's own JPEGs, JPEG for raw frames.
const (
	Auto Kind = iota
	Copy      // passes a camera's JPEGs through, repaired where necessary
	JPEG      // encodes raw frames
	Raw       // passes raw frames through, lossless
)

var kindNames = []string{"auto", "copy", "jpeg", "raw"}

// String returns the name that ParseKind reads.
func (k Kind) String() string { return kindNames[k] }

// ParseKind reads "auto", "copy", "jpeg" or "raw".
func ParseKind(s string) (Kind, error) {
	if i := slices.Index(kindNames, s); i >= 0 {
		return Kind(i), nil
	}
	return 0, fmt.Errorf("codec %q is unknown; known are %s", s, strings.Join(kindNames, ", "))
}

// Choose returns the kind of encoder for frames of format in: never Auto, and
// Copy where JPEG was asked of a camera that sends JPEGs. The error of an
// impossible choice has what to choose instead.
func Choose(kind Kind, in capture.Format) (Kind, error) {
	switch compressed := in.Pixel.Compressed(); {
	case compressed && kind == Raw:
		return 0, fmt.Errorf("codec raw needs raw frames, and %v is compressed: choose a raw mode of the camera, or codec copy", in)
	case compressed:
		return Copy, nil
	case kind == Copy:
		return 0, fmt.Errorf("codec copy passes a camera's JPEGs through, and %v is raw: choose an mjpeg mode of the camera, or codec jpeg", in)
	case kind == Auto:
		return JPEG, nil
	}
	return kind, nil
}

// Encoder turns captured frames into what goes over the wire. All but Counts
// is for one goroutine.
type Encoder interface {
	// Format returns what Encode makes of frames of format in. Of a camera's own
	// JPEGs the header may have another size; it is the frame's that counts.
	Format(in capture.Format) capture.Format
	// Encode takes the caller's reference over in every case and returns a
	// frame that the caller owns, with Encoded set and the other stamps and the
	// sequence number kept. An error that wraps jfif.ErrDamaged costs only this frame.
	Encode(f *capture.Frame) (*capture.Frame, error)
	// Counts returns what was repaired and dropped so far. It may be called
	// from any goroutine.
	Counts() jfif.Counts
	// Close frees the encoder's memory; Encode fails from then on. It may be
	// called twice.
	Close()
}

// NewEncoder returns an encoder of a kind that Choose returned. The quality of
// JPEG is 1 to 100; new frames come from pool; nil is one of its own.
func NewEncoder(kind Kind, quality int, pool *capture.Pool) (Encoder, error) {
	pool = cmp.Or(pool, new(capture.Pool))
	switch {
	case kind == Copy:
		return &copier{pool: pool}, nil
	case kind == Raw:
		return &passer{}, nil
	case kind != JPEG:
		return nil, fmt.Errorf("codec: no encoder is called %v", kind)
	case quality < 1 || quality > 100:
		return nil, fmt.Errorf("codec: JPEG quality %d is outside 1..100", quality)
	}
	return newJPEGEncoder(quality, pool)
}
