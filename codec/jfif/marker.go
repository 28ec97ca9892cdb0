package jfif

import (
	"bytes"
	"encoding/binary"
)

// Marker codes of ITU-T T.81 table B.1; each follows a byte 0xFF.
const (
	TEM   = 0x01
	SOF0  = 0xC0 // baseline; SOF1 is extended sequential
	SOF2  = 0xC2 // progressive
	DHT   = 0xC4
	JPG   = 0xC8
	DAC   = 0xCC
	RST0  = 0xD0
	SOI   = 0xD8
	EOI   = 0xD9
	SOS   = 0xDA
	DQT   = 0xDB
	DRI   = 0xDD
	APP0  = 0xE0
	APP14 = 0xEE
	COM   = 0xFE
)

var (
	soi = []byte{0xFF, SOI, 0xFF} // with the first byte of the next marker
	eoi = []byte{0xFF, EOI}
)

// StartsJPEG reports whether data begins as a JPEG file does: with SOI and
// another marker.
func StartsJPEG(data []byte) bool { return bytes.HasPrefix(data, soi) }

// IndexStart returns where a JPEG file starts in data, or -1.
func IndexStart(data []byte) int { return bytes.Index(data, soi) }

// Segment is a marker with its parameters: data[Start:End], of which
// data[Payload:End] follows the length field.
type Segment struct {
	Marker              byte
	Start, Payload, End int
	Junk                bool // bytes that belong to no segment came before it
}

// isSOF reports whether the segment is a frame header, of whatever process.
func (s Segment) isSOF() bool {
	return s.Marker >= SOF0 && s.Marker <= 0xCF && s.Marker != DHT && s.Marker != JPG && s.Marker != DAC
}

// isStandalone reports whether a marker has no parameters.
func isStandalone(marker byte) bool {
	return marker >= RST0 && marker <= EOI || marker == TEM
}

// NextSegment returns the first marker segment at or after an offset. Bytes
// 0xFF before a marker are fill bytes (T.81 section B.1.1.2); the segment starts
// at the last of them. The error is a Cause.
func NextSegment(data []byte, at int) (s Segment, err error) {
	for ; at+1 < len(data); at++ {
		if data[at] == 0xFF && data[at+1] != 0 && data[at+1] != 0xFF {
			break
		}
		s.Junk = s.Junk || data[at] != 0xFF || data[at+1] == 0
	}
	if at+1 >= len(data) {
		return s, Truncated
	}
	s.Marker, s.Start, s.Payload, s.End = data[at+1], at, at+2, at+2
	if isStandalone(s.Marker) {
		return s, nil
	}
	if at+4 > len(data) {
		return s, Truncated
	}
	length := int(binary.BigEndian.Uint16(data[at+2:]))
	if length < 2 {
		return s, Malformed
	}
	s.Payload, s.End = at+4, at+2+length
	if s.End > len(data) {
		return s, Truncated
	}
	return s, nil
}

// skipScan returns the offset of the marker that ends the entropy-coded data at an
// offset, in which FF is followed by 00 or is a restart marker (T.81 section
// B.1.1.5). Without one in data it returns where to go on when there is more.
func skipScan(data []byte, at int) (end int, found bool) {
	for {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 {
			return len(data), false
		}
		at += i
		if at+1 >= len(data) {
			return at, false
		}
		if m := data[at+1]; m != 0 && m != 0xFF && (m < RST0 || m >= SOI) {
			return at, true
		}
		at++
	}
}

// nextInScan returns the first marker segment after entropy-coded data.
func nextInScan(data []byte, at int) (Segment, bool) {
	at, found := skipScan(data, at)
	if !found {
		return Segment{}, false
	}
	s, err := NextSegment(data, at)
	return s, err == nil
}
