package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrPayload is returned for a payload that is not what its record type needs.
var ErrPayload = errors.New("payload is malformed")

// AppendCredit appends the payload of a Credit record: how many frames of the
// stream may be sent in all since the session began. A total, unlike an
// increment, cannot be lost.
func AppendCredit(b []byte, total uint64) []byte {
	return binary.LittleEndian.AppendUint64(b, total)
}

// ParseCredit reads the payload of a Credit record.
func ParseCredit(b []byte) (total uint64, err error) {
	if len(b) != 8 {
		return 0, ErrPayload
	}
	return binary.LittleEndian.Uint64(b), nil
}

// Clock is the payload of Ping and Pong: times in nanoseconds on the monotonic
// clock of the host that took them. A Ping holds the first only.
type Clock struct {
	Ping     int64 // the Ping was sent, on the viewer's clock
	Received int64 // the Ping was read, on the sender's clock
	Pong     int64 // the Pong was sent, on the sender's clock
}

// AppendPing appends the payload of a Ping record.
func AppendPing(b []byte, sent int64) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(sent))
}

// ParsePing reads the payload of a Ping record.
func ParsePing(b []byte) (sent int64, err error) {
	if len(b) != 8 {
		return 0, ErrPayload
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

// MaxPadding is how many bytes of padding a Ping may ask for.
const MaxPadding = 8 << 20

// AppendProbe appends the payload of a Ping record that measures the line: it asks for
// so many bytes of padding in front of its Pong.
func AppendProbe(b []byte, sent int64, padding int) []byte {
	return binary.LittleEndian.AppendUint64(AppendPing(b, sent), uint64(padding))
}

// ParseProbe reads the payload of a Ping record that may ask for padding.
func ParseProbe(b []byte) (sent int64, padding int, err error) {
	if len(b) != 16 {
		sent, err = ParsePing(b)
		return sent, 0, err
	}
	if n := binary.LittleEndian.Uint64(b[8:]); n <= MaxPadding {
		return int64(binary.LittleEndian.Uint64(b)), int(n), nil
	}
	return 0, 0, ErrPayload
}

// Count is how many frames of a stream were completely written.
type Count struct {
	Stream uint16
	Frames uint64
}

const (
	clockSize = 24
	countSize = 16
)

// AppendPong appends the payload of a Pong record: the clock, and how many frames of
// each stream were completely written before it, so that a viewer learns of those
// that were lost and returns their credit.
func AppendPong(b []byte, c Clock, counts ...Count) []byte {
	for _, v := range [...]int64{c.Ping, c.Received, c.Pong} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for _, count := range counts {
		b = binary.LittleEndian.AppendUint64(b, uint64(count.Stream))
		b = binary.LittleEndian.AppendUint64(b, count.Frames)
	}
	return b
}

// ParsePong reads the payload of a Pong record. It appends the counts to those that it
// is given.
func ParsePong(b []byte, counts []Count) (Clock, []Count, error) {
	rest := len(b) - clockSize
	if rest < 0 || rest%countSize != 0 || rest > MaxStreams*countSize {
		return Clock{}, counts, ErrPayload
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	for at := clockSize; at < len(b); at += countSize {
		if u64(at) == 0 || u64(at) > MaxStreams {
			return Clock{}, counts, ErrPayload
		}
		counts = append(counts, Count{uint16(u64(at)), u64(at + 8)})
	}
	return Clock{int64(u64(0)), int64(u64(8)), int64(u64(16))}, counts, nil
}

// FrameHeaderSize is the length of a FrameHeader in bytes.
const FrameHeaderSize = 72

// FrameHeader begins the payload of the First record of a frame. Times are
// nanoseconds on the sender's monotonic clock, 0 where a stage was not passed.
// The counts are totals since the session's first Start and wrap around.
type FrameHeader struct {
	Index    uint64 // of the frame in the stream and session, from 0
	Sequence uint32 // of the camera's driver
	Mode     uint32 // number of the Mode record that describes the frame
	Size     uint32 // of the whole frame, in bytes
	Encoding uint32 // what encoding took until Encoded, in microseconds; 0: not known
	Captured int64
	Dequeued int64
	Encoded  int64
	Sent     int64

	LostDriver     uint32 // dropped by the camera or its driver
	LostDamaged    uint32 // not decodable, or marked so by the driver
	LostSuperseded uint32 // a newer one was there before it could be sent
}

// Taken returns when the encoder took the frame, 0 where that is not known.
func (h *FrameHeader) Taken() int64 {
	if h.Encoding == 0 || h.Encoded == 0 {
		return 0
	}
	return max(0, h.Encoded-1000*int64(h.Encoding))
}

// Append appends the header to b.
func (h *FrameHeader) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, h.Index)
	for _, v := range [...]uint32{h.Sequence, h.Mode, h.Size, h.Encoding} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, v := range [...]int64{h.Captured, h.Dequeued, h.Encoded, h.Sent} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for _, v := range [...]uint32{h.LostDriver, h.LostDamaged, h.LostSuperseded, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// ParseFrameHeader reads the header at the start of b and returns what follows.
func ParseFrameHeader(b []byte) (h FrameHeader, rest []byte, err error) {
	if len(b) < FrameHeaderSize {
		return FrameHeader{}, nil, ErrPayload
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	i64 := func(at int) int64 { return int64(binary.LittleEndian.Uint64(b[at:])) }
	h = FrameHeader{
		Index:    binary.LittleEndian.Uint64(b),
		Sequence: u32(8), Mode: u32(12), Size: u32(16), Encoding: u32(20),
		Captured: i64(24), Dequeued: i64(32), Encoded: i64(40), Sent: i64(48),
		LostDriver: u32(56), LostDamaged: u32(60), LostSuperseded: u32(64),
	}
	if h.Size > math.MaxInt32 || min(h.Captured, h.Dequeued, h.Encoded, h.Sent) < 0 {
		return FrameHeader{}, nil, ErrPayload
	}
	return h, b[FrameHeaderSize:], nil
}
