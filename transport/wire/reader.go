package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// What a Reader may check in vain: this many bytes at once, and so many times what
// it has read. Damage of a line stays far below it; a peer that puts headers into the
// payloads of others would have every byte checked thousands of times.
const (
	vainBytes = 8 << 20
	vainTimes = 8
)

// ErrHostile is returned when a Reader has checked too many bytes in vain.
var ErrHostile = errors.New("too many bytes had to be read again after damage")

// Damage counts what a Reader passed over.
type Damage struct {
	Bytes   uint64 // that belonged to no good record
	Records uint64 // good headers whose payload was damaged or cut short
}

// Reader reads records from a byte stream. Zero bytes between records are
// padding. After damage it goes on at the next good record.
type Reader struct {
	src    io.Reader
	buf    []byte // grows up to 2 * MaxRecord
	start  int    // of what was not parsed yet
	end    int    // of what was read
	fresh  int    // bytes of the last read, until they were searched
	ahead  int    // bytes that one read may fetch: little until a record was good, then most
	most   int
	rest   int   // bytes of the last payload that were not read yet
	err    error // of the source
	damage Damage
	read   uint64 // bytes in all
	padded uint64 // bytes of padding among them
	vain   uint64 // bytes that were checked and made no record
}

// NewReader returns a Reader of src, which may return few bytes at a time.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, ahead: PacketSize, most: MaxRecord}
}

// NewDirectReader returns a Reader of a line that keeps bytes whole. It fetches
// little ahead, so that ReadRest reads most of a frame straight to its place.
func NewDirectReader(src io.Reader) *Reader {
	return &Reader{src: src, ahead: PacketSize, most: PacketSize}
}

// Next returns the next good record. The payload is valid until the next call.
// That of an Unchecked Frame may be only the beginning, FrameHeaderSize bytes at
// least; the rest is for ReadRest, or passed over by the next call.
// The error is that of the source, or ErrHostile, or wraps ErrVersion when the peer
// has another version, which no resynchronisation can fix.
func (r *Reader) Next() (Header, []byte, error) {
	for r.rest > 0 {
		if r.ReadRest(r.buf[:min(r.rest, len(r.buf))]) == 0 {
			return Header{}, nil, r.err
		}
	}
	for {
		if r.vain > vainBytes+vainTimes*r.read {
			return Header{}, nil, ErrHostile
		}
		r.skipPadding()
		h, payload, err := Parse(r.buf[r.start:r.end])
		short := errors.Is(err, ErrShort)
		switch {
		case err == nil:
			r.start += HeaderSize + h.Length
			r.ahead = r.most
			return h, payload, nil
		case errors.Is(err, ErrVersion):
			return Header{}, nil, err
		case short && h.isDirect() && r.end-r.start >= HeaderSize+FrameHeaderSize:
			payload = r.buf[r.start+HeaderSize : r.end]
			r.start, r.rest = r.end, h.Length-len(payload)
			return h, payload, nil
		case short && r.err == nil && !r.isInterrupted():
			r.fillBuffer()
		case short && r.start == r.end:
			return Header{}, nil, r.err
		default:
			if h.Type != 0 {
				r.damage.Records++
			}
			r.countVain(h, err)
			r.resynchronise()
		}
	}
}

// Reject takes back the last record, whose seal is wrong: it counts as damaged, and the
// next good record may be inside of what seemed to be its payload.
func (r *Reader) Reject(h Header) {
	r.start -= HeaderSize + h.Length
	r.damage.Records++
	r.countVain(h, ErrChecksum)
	r.resynchronise()
}

// Rest returns how many bytes of the last payload Next did not return.
func (r *Reader) Rest() int { return r.rest }

// ReadRest reads len(b) of the bytes that Next did not return, of which there are
// Rest, and returns how many came. If these are fewer, Next returns the error.
func (r *Reader) ReadRest(b []byte) int {
	var n int
	n, r.err = io.ReadFull(r.src, b)
	r.rest -= n
	r.read += uint64(n)
	return n
}

// Damage returns what was passed over so far.
func (r *Reader) Damage() Damage { return r.damage }

// Padding returns how many bytes of padding were passed over so far.
func (r *Reader) Padding() uint64 { return r.padded }

func (r *Reader) skipPadding() {
	begin := r.start
	for r.end-r.start >= 8 && binary.LittleEndian.Uint64(r.buf[r.start:]) == 0 {
		r.start += 8
	}
	for r.start < r.end && r.buf[r.start] == 0 {
		r.start++
	}
	r.padded += uint64(r.start - begin)
}

// countVain counts the bytes that Parse checked before it returned an error.
func (r *Reader) countVain(h Header, err error) {
	if errors.Is(err, ErrMagic) {
		return
	}
	r.vain += HeaderSize
	if errors.Is(err, ErrChecksum) {
		r.vain += uint64(h.Length)
	}
}

// resynchronise drops the byte at start, and all up to what may be the next record.
// A damaged payload is searched too: where bytes are missing from the middle of
// it, its length covers records that are good.
func (r *Reader) resynchronise() {
	rest := r.buf[r.start+1 : r.end]
	n := bytes.IndexByte(rest, magic[0])
	if n < 0 {
		n = len(rest)
	}
	r.damage.Bytes += uint64(n + 1)
	r.start += n + 1
}

// isInterrupted reports whether a whole record is among the last bytes of what
// should be the payload of another, whose own end is therefore lost. Without
// this a large record that lost its end would swallow the small ones after it
// until they fill its length. It looks only after a small read, as when the line
// falls silent: a busy one fills the length soon.
func (r *Reader) isInterrupted() bool {
	fresh, rest := r.fresh, r.buf[r.start:r.end]
	r.fresh = 0
	if fresh == 0 || fresh >= PacketSize || len(rest) < 2*HeaderSize {
		return false
	}
	for tail := rest[max(HeaderSize, len(rest)-PacketSize):]; ; tail = tail[1:] {
		at := bytes.Index(tail, []byte(magic))
		if at < 0 {
			return false
		}
		tail = tail[at:]
		h, _, err := Parse(tail)
		if err == nil {
			return true
		}
		r.countVain(h, err)
	}
}

// fillBuffer reads once, after it made room for that.
func (r *Reader) fillBuffer() {
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
	case len(r.buf)-r.end < r.ahead:
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if size := r.end + r.ahead; size > len(r.buf) {
		// What is left unparsed is shorter than one record, or it would have been parsed.
		buf := make([]byte, min(max(size, 2*len(r.buf)), MaxRecord+r.most))
		copy(buf, r.buf[:r.end])
		r.buf = buf
	}
	r.fresh, r.err = r.src.Read(r.buf[r.end : r.end+r.ahead])
	r.end += r.fresh
	r.read += uint64(r.fresh)
	if r.fresh == 0 && r.err == nil {
		r.err = io.ErrNoProgress
	}
}
