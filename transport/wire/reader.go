package wire

import (
	"bytes"
	"errors"
	"io"
)

// bufferSize holds a record of the largest size and as much of what follows, so
// that one read fetches at least 256 KiB.
const bufferSize = 2 * MaxRecord

// Damage counts what a Reader passed over.
type Damage struct {
	Bytes   uint64 // that belonged to no good record
	Records uint64 // good headers whose payload was damaged
}

// Reader reads records from a byte stream. Zero bytes between records are
// padding. After damage it goes on at the next good record.
type Reader struct {
	src    io.Reader
	buf    []byte
	start  int // of what was not parsed yet
	end    int // of what was read
	damage Damage
}

// NewReader returns a Reader of src, which may return few bytes at a time.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, bufferSize)}
}

// Next returns the next good record. The payload is valid until the next call.
// The error is that of the source, or wraps ErrVersion when the peer speaks
// another version, which no resynchronisation can cure.
func (r *Reader) Next() (Header, []byte, error) {
	for {
		r.skipPadding()
		h, payload, err := Parse(r.buf[r.start:r.end])
		switch {
		case err == nil:
			r.start += HeaderSize + h.Length
			return h, payload, nil
		case errors.Is(err, ErrShort):
			if err := r.fill(); err != nil {
				return Header{}, nil, err
			}
		case errors.Is(err, ErrVersion):
			return Header{}, nil, err
		default:
			if h.Type != 0 {
				r.damage.Records++
			}
			r.resync()
		}
	}
}

// Damage returns what was passed over so far.
func (r *Reader) Damage() Damage { return r.damage }

func (r *Reader) skipPadding() {
	for r.start < r.end && r.buf[r.start] == 0 {
		r.start++
	}
}

// resync drops the byte at start, and all up to what may be the next record.
// A damaged payload is searched too: where bytes are missing from the middle of
// it, its length covers records that are good.
func (r *Reader) resync() {
	rest := r.buf[r.start+1 : r.end]
	n := bytes.IndexByte(rest, magic[0])
	if n < 0 {
		n = len(rest)
	}
	r.damage.Bytes += uint64(n + 1)
	r.start += n + 1
}

// fill reads once, after it made room for 256 KiB: what is left unparsed is
// shorter than one record, or it would have been parsed.
func (r *Reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	} else if len(r.buf)-r.end < MaxRecord {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
