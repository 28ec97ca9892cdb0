package mjpeg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// chunk is how much is read at once at the least.
const chunk = 256 << 10

// ErrTooLarge says that a picture had no end within the limit; the reader goes on
// at the next one.
var ErrTooLarge = errors.New("picture is too large")

// Reader finds the pictures in a byte stream, each as soon as its last byte is
// there. What belongs to no picture is passed over.
type Reader struct {
	src   io.Reader
	limit int
	buf   []byte
	start int // of the picture, or of what was not looked at
	at    int // where to look on; start <= at <= end
	end   int // of what was read
	read  int64
	part  part
}

// part is where in a picture the reader is.
type part int

const (
	outside part = iota // before SOI
	header              // before a marker segment
	scan                // in entropy-coded data
)

// NewReader returns a Reader of pictures of up to limit bytes. Memory grows with
// what comes, not with what is promised.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit, buf: make([]byte, 2*chunk)}
}

// Next returns the next picture, which is valid until the next call.
func (r *Reader) Next() ([]byte, error) {
	for {
		picture := r.look()
		if max(len(picture), r.at-r.start) > r.limit {
			r.start, r.part = r.at, outside
			return nil, fmt.Errorf("read mjpeg: %w: more than %d bytes", ErrTooLarge, r.limit)
		}
		if picture != nil {
			return picture, nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// Offset returns how many bytes of the source come before what Next has not
// returned yet. At the source's end that is where an unfinished picture begins.
func (r *Reader) Offset() int64 { return r.read - int64(r.end-r.start) }

// look moves on as far as the bytes go, and returns a picture that is complete.
func (r *Reader) look() []byte {
	for {
		var more bool
		switch r.part {
		case outside:
			more = r.lookOutside()
		case header:
			more = r.lookHeader()
		case scan:
			more = r.lookScan()
		}
		if r.part == outside && r.at > r.start {
			picture := r.buf[r.start:r.at]
			r.start = r.at
			return picture
		}
		if !more {
			return nil
		}
	}
}

// lookOutside finds the next SOI.
func (r *Reader) lookOutside() bool {
	n := bytes.Index(r.buf[r.at:r.end], []byte{0xFF, soi})
	if n < 0 {
		// The last byte may be the first half of a marker.
		if r.at = max(r.at, r.end-1); r.at < r.end && r.buf[r.at] != 0xFF {
			r.at = r.end
		}
		r.start = r.at
		return false
	}
	r.start, r.at, r.part = r.at+n, r.at+n+2, header
	return true
}

// lookHeader passes over one marker segment.
func (r *Reader) lookHeader() bool {
	rest := r.buf[r.at:r.end]
	for len(rest) > 1 && rest[0] == 0xFF && rest[1] == 0xFF { // fill bytes
		rest = rest[1:]
		r.at++
	}
	if len(rest) < 2 {
		return false
	}
	switch marker := rest[1]; {
	case rest[0] != 0xFF, marker == soi:
		// Not a picture after all: it may begin later.
		r.start, r.part = r.at, outside
		return true
	case marker == eoi:
		r.at, r.part = r.at+2, outside
		return true
	case len(rest) < comHead:
		return false
	case marker == sos:
		r.part = scan
	}
	length := 2 + int(rest[2])<<8 + int(rest[3])
	if len(rest) < length {
		r.part = header
		return false
	}
	r.at += length
	return true
}

// lookScan finds the marker that ends the entropy-coded data, in which FF is
// followed by 00 or is a restart marker (T.81, B.1.1.5).
func (r *Reader) lookScan() bool {
	for {
		n := bytes.IndexByte(r.buf[r.at:r.end], 0xFF)
		if n < 0 {
			r.at = r.end
			return false
		}
		r.at += n
		if r.at+1 >= r.end {
			return false
		}
		if m := r.buf[r.at+1]; m != 0 && m != 0xFF && (m < 0xD0 || m > 0xD7) {
			r.part = header
			return true
		}
		r.at++
		if r.buf[r.at] == 0 {
			r.at++
		}
	}
}

// fill reads once. It makes room by moving what is left to the front, and by
// growing while a picture is larger than the buffer.
func (r *Reader) fill() error {
	if len(r.buf)-r.end < chunk {
		if r.end-r.start > len(r.buf)/2 {
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.at -= r.start
		r.start = 0
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	r.read += int64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
