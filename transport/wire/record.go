package wire

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Versions of the record format, whose layout they share.
const (
	// Version is the one of all records but a Hello.
	Version = 2
	// GreetingVersion is the one of a Hello, so that a peer of any version reads it, and
	// of all records to and from a peer that has only that one.
	GreetingVersion = 1
)

// MaxStreams is how many streams a session may have, numbered from 1.
const MaxStreams = 16

const (
	// HeaderSize is the length of a record header in bytes.
	HeaderSize = 32
	// MaxRecord is the length of the largest record in bytes, so that control
	// records pass between the pieces of a large frame.
	MaxRecord = 256 << 10
	// MaxPayload is the length of the largest payload in bytes.
	MaxPayload = MaxRecord - HeaderSize
	// PacketSize is how much a USB4STREAM packet carries (drivers/thunderbolt/
	// stream.c). A record that must arrive alone, such as Hello, fits in one.
	PacketSize = 4096
)

// magic begins every record. It is neither zero, which is padding, nor the
// start of a JPEG file.
const magic = "\x8aTBC"

// Type is what a record is.
type Type uint8

// The record types; those from the sender are marked S, from the viewer V.
const (
	Hello    Type = 1 + iota // S: offers a session
	Welcome                  // V: accepts it
	Ping                     // V: asks for a Pong; a heartbeat
	Pong                     // S: answers a Ping; a heartbeat
	Start                    // V: asks for a stream
	Stop                     // V: asks to end it
	Credit                   // V: how many frames the stream may have
	Mode                     // S: describes the frames that follow
	Frame                    // S: a piece of a frame
	Status                   // S: why there are no frames, or that there are
	List                     // V: asks for the cameras
	Camera                   // S: describes one camera
	Bye                      // both: the end, and why
	ByeAck                   // both: the end was read
	Set                      // V: settings of the camera's controls
	Controls                 // S: the camera's controls, and answers to settings
	Auth                     // both: proof of a key, and what an end has decided of the peer
)

var typeNames = [...]string{"", "hello", "welcome", "ping", "pong", "start", "stop", "credit",
	"mode", "frame", "status", "list", "camera", "bye", "bye-ack", "set", "controls", "auth"}

// String returns the name of the type in SPEC.md.
func (t Type) String() string {
	if t > 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Flags qualify a record.
type Flags uint16

// First and Last mark the pieces of a frame, and Last the last camera of a list.
// Unchecked marks a Frame whose payload has no checksum, since the link keeps bytes whole,
// as sockets do and cables do not. Sealed marks a record whose payload is sealed: that
// has no checksum either, since its seal is one.
const (
	First Flags = 1 << iota
	Last
	Unchecked
	Sealed
)

// Header is the header of a record, all but the parts that Append computes.
type Header struct {
	Type     Type
	Flags    Flags
	Version  uint8  // 0 stands for Version
	Stream   uint16 // 0 is the session itself
	Session  uint32 // chosen by the sender, never 0
	Sequence uint32 // counts the records of one direction since the line was opened
	Length   int    // of the payload, in bytes
	checksum uint32 // CRC32C of the payload, 0 if Unchecked or Sealed
}

func (h Header) isChecked() bool { return h.Flags&Sealed == 0 && !h.isDirect() }

// isDirect reports whether the payload can be used before all of it has come.
func (h Header) isDirect() bool { return h.Type == Frame && h.Flags&(Unchecked|Sealed) == Unchecked }

// Errors of Parse.
var (
	ErrShort    = errors.New("record is not complete")
	ErrMagic    = errors.New("no record starts here")
	ErrChecksum = errors.New("record has a wrong checksum")
	ErrVersion  = errors.New("record has an unknown version")
	ErrLength   = errors.New("record is longer than allowed")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendHeader appends the header of a record whose payload is the given pieces,
// one after the other. h.Length is taken from them.
func AppendHeader(b []byte, h Header, payload ...[]byte) []byte {
	length, sum := 0, uint32(0)
	for _, p := range payload {
		length += len(p)
		if h.isChecked() {
			sum = crc32.Update(sum, castagnoli, p)
		}
	}
	start := len(b)
	h.Length = length
	b = h.AppendBound(b)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// AppendBound appends the beginning of the header, up to the checksums: what of it a
// seal is bound to.
func (h Header) AppendBound(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, cmp.Or(h.Version, Version), byte(h.Type))
	b = binary.LittleEndian.AppendUint16(b, uint16(h.Flags))
	b = binary.LittleEndian.AppendUint16(b, h.Stream)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, h.Session)
	b = binary.LittleEndian.AppendUint32(b, h.Sequence)
	return binary.LittleEndian.AppendUint32(b, uint32(h.Length))
}

// Append appends a whole record.
func Append(b []byte, h Header, payload []byte) []byte {
	return append(AppendHeader(b, h, payload), payload...)
}

// ParseHeader reads the header at the start of b. Nothing in it is believed
// unless its checksum is right, and the length is within MaxPayload.
func ParseHeader(b []byte) (Header, error) {
	n := min(len(b), len(magic))
	switch {
	case string(b[:n]) != magic[:n]:
		return Header{}, ErrMagic
	case len(b) < HeaderSize:
		return Header{}, ErrShort
	case crc32.Checksum(b[:28], castagnoli) != binary.LittleEndian.Uint32(b[28:]):
		return Header{}, ErrChecksum
	case b[4] != Version && b[4] != GreetingVersion:
		return Header{}, ErrVersion
	case binary.LittleEndian.Uint32(b[20:]) > MaxPayload:
		return Header{}, ErrLength
	}
	h := Header{
		Type:     Type(b[5]),
		Flags:    Flags(binary.LittleEndian.Uint16(b[6:])),
		Stream:   binary.LittleEndian.Uint16(b[8:]),
		Session:  binary.LittleEndian.Uint32(b[12:]),
		Sequence: binary.LittleEndian.Uint32(b[16:]),
		Length:   int(binary.LittleEndian.Uint32(b[20:])),
		checksum: binary.LittleEndian.Uint32(b[24:]),
	}
	if b[4] != Version {
		h.Version = b[4]
	}
	return h, nil
}

// Parse reads the record at the start of b. The payload is a part of b.
func Parse(b []byte) (Header, []byte, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Header{}, nil, err
	}
	if len(b) < HeaderSize+h.Length {
		return h, nil, ErrShort
	}
	payload := b[HeaderSize : HeaderSize+h.Length]
	if h.isChecked() && crc32.Checksum(payload, castagnoli) != h.checksum {
		return h, nil, ErrChecksum
	}
	return h, payload, nil
}
