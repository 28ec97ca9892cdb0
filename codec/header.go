package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// Marker codes of ITU-T T.81 table B.1; each follows a byte 0xFF.
const (
	markerTEM  = 0x01
	markerSOF0 = 0xC0 // baseline; SOF1 is extended sequential
	markerSOF2 = 0xC2 // progressive
	markerDHT  = 0xC4
	markerJPG  = 0xC8
	markerDAC  = 0xCC
	markerRST0 = 0xD0
	markerSOI  = 0xD8
	markerEOI  = 0xD9
	markerSOS  = 0xDA
	markerAPP0 = 0xE0
	markerAPPE = 0xEE
	markerCOM  = 0xFE
)

var (
	soi = []byte{0xFF, markerSOI, 0xFF} // with the first byte of the next marker
	eoi = []byte{0xFF, markerEOI}
)

// limitedRange is the comment by which FFmpeg marks and recognises JPEGs with
// limited-range samples; without it a JPEG's samples are full range (JFIF).
const limitedRange = "CS=ITU601"

// jfif and adobe begin the segments that say how colours are coded (JFIF 1.02;
// Adobe Technical Note 5116), whose payloads have at least so many bytes.
var jfif, adobe = []byte("JFIF\x00"), []byte("Adobe")

const (
	jfifSize  = 14
	adobeSize = 12
)

// Header is what a JPEG says of itself before its first scan.
type Header struct {
	Width, Height int  // pixels, 1 to capture.MaxDimension
	Components    int  // 1 (greyscale) or 3 (Y', Cb, Cr)
	SubX, SubY    int  // luma samples per chroma sample: 1x1, 2x1, 2x2, 1x2 or 4x1
	Progressive   bool // else sequential
	Huffman       bool // has Huffman tables before the first scan
	Complete      bool // has an EOI marker
	Range         capture.Range

	// Offsets into the data: of the SOI marker, of the first SOS marker, of the
	// first entropy-coded byte, and after the EOI marker or the last byte.
	Start, SOS, Scan, End int

	junk      bool    // bytes between marker segments that belong to none
	scans     bool    // there are several scans: samples come in parts
	ids       [3]byte // of the components
	jfif      bool    // has a JFIF segment: colours are Y'CbCr
	adobe     bool    // has an Adobe segment
	transform byte    // of the Adobe segment; 0 is RGB
}

// Format returns the format of frames with such a header.
func (h Header) Format() capture.Format {
	return capture.Format{Pixel: capture.MJPEG, Width: h.Width, Height: h.Height, Matrix: capture.BT601, Range: h.Range}
}

// ParseHeader reads the marker segments before the first scan (T.81 section
// B.2) and finds the frame's end: of several JPEGs in data (MPO, or what an older
// frame left there) it is the first. It tolerates bytes before SOI and between
// segments. The error wraps a Cause; the header is then of no use.
func ParseHeader(data []byte) (Header, error) {
	start := bytes.Index(data, soi)
	if start < 0 {
		return Header{}, NoSOI
	}
	h := Header{Start: start, Range: capture.Full}
	for at := start + 2; h.Scan == 0; {
		s, err := nextSegment(data, at)
		if err == nil {
			err = h.take(s, data)
		}
		if err != nil {
			return Header{}, err
		}
		at = s.end
	}
	if err := h.check(); err != nil {
		return Header{}, err
	}
	h.End, h.Complete = h.findEnd(data)
	return h, nil
}

// check refuses frames that cannot be shown: in RGB, or too large.
func (h *Header) check() error {
	if h.rgb() {
		return fmt.Errorf("%w: RGB, not Y'CbCr", Unsupported)
	}
	f := h.Format()
	f.Pixel = h.planar()
	// Decoded coefficients, of two bytes, wait for those of later scans.
	if size := f.Size(); size > capture.MaxFrame || h.scans && 2*size > capture.MaxFrame {
		return fmt.Errorf("%w: it is %dx%d, and decoding takes more than %d MiB", TooLarge, h.Width, h.Height, capture.MaxFrame>>20)
	}
	return nil
}

// rgb reports whether libjpeg takes the components for R, G and B.
func (h *Header) rgb() bool {
	switch {
	case h.Components != 3 || h.jfif:
		return false
	case h.adobe:
		return h.transform == 0
	}
	return h.ids == [3]byte{'R', 'G', 'B'}
}

// take notes what one marker segment says.
func (h *Header) take(s segment, data []byte) error {
	h.junk = h.junk || s.junk
	payload := data[s.payload:s.end]
	switch {
	case s.marker == markerSOI:
		// What came before was the rest of another picture.
		*h = Header{Start: s.start, Range: capture.Full}
	case s.marker == markerEOI:
		return NoSOS
	case s.isSOF():
		return h.takeSOF(s.marker, payload)
	case s.marker == markerDHT:
		h.Huffman = true
	case s.marker == markerCOM && bytes.HasPrefix(payload, []byte(limitedRange)):
		h.Range = capture.Limited
	case s.marker == markerAPP0 && len(payload) >= jfifSize && bytes.HasPrefix(payload, jfif):
		h.jfif = true
	case s.marker == markerAPPE && len(payload) >= adobeSize && bytes.HasPrefix(payload, adobe):
		h.adobe, h.transform = true, payload[adobeSize-1]
	case s.marker == markerSOS:
		return h.takeSOS(s, data)
	}
	return nil
}

// takeSOF reads a frame header (T.81 section B.2.2).
func (h *Header) takeSOF(marker byte, p []byte) error {
	switch {
	case h.Width != 0, len(p) < 6, len(p) != 6+3*int(p[5]):
		return Malformed
	case marker > markerSOF2:
		return fmt.Errorf("%w: lossless, hierarchical or with arithmetic coding", Unsupported)
	case p[0] != 8:
		return fmt.Errorf("%w: %d bits a sample", Unsupported, p[0])
	}
	h.Progressive = marker == markerSOF2
	h.Height = int(binary.BigEndian.Uint16(p[1:]))
	h.Width = int(binary.BigEndian.Uint16(p[3:]))
	h.Components = int(p[5])
	switch {
	case h.Width == 0 || h.Height == 0: // T.81 allows a height of 0, to be told after the scan
		return fmt.Errorf("%w: %dx%d", Unsupported, h.Width, h.Height)
	case h.Width > capture.MaxDimension || h.Height > capture.MaxDimension:
		return fmt.Errorf("%w: it is %dx%d, the limit is %dx%d", TooLarge, h.Width, h.Height, capture.MaxDimension, capture.MaxDimension)
	}
	return h.takeSampling(p[6:])
}

// takeSampling reads the components of a frame header: identifier, sampling
// factors and table of each.
func (h *Header) takeSampling(p []byte) error {
	h.SubX, h.SubY = 1, 1
	switch {
	case h.Components == 1:
		return nil
	case h.Components != 3:
		return fmt.Errorf("%w: %d components", Unsupported, h.Components)
	}
	h.ids = [3]byte{p[0], p[3], p[6]}
	lumaX, lumaY := int(p[1]>>4), int(p[1]&15)
	chromaX, chromaY := int(p[4]>>4), int(p[4]&15)
	if p[4] == p[7] && chromaX != 0 && chromaY != 0 && lumaX%chromaX == 0 && lumaY%chromaY == 0 {
		h.SubX, h.SubY = lumaX/chromaX, lumaY/chromaY
		switch [2]int{h.SubX, h.SubY} {
		case [2]int{1, 1}, [2]int{2, 1}, [2]int{2, 2}, [2]int{1, 2}, [2]int{4, 1}:
			return nil
		}
	}
	return fmt.Errorf("%w: sampling factors %#02x, %#02x, %#02x", Unsupported, p[1], p[4], p[7])
}

// takeSOS reads a scan header (T.81 section B.2.3).
func (h *Header) takeSOS(s segment, data []byte) error {
	switch {
	case h.Width == 0:
		return NoSOF
	case s.end >= len(data):
		return Truncated
	case s.payload == s.end:
		return Malformed
	}
	h.SOS, h.Scan = s.start, s.end
	h.scans = h.Progressive || int(data[s.payload]) < h.Components
	return nil
}

// findEnd returns the offset after EOI, or the length of data without one. No EOI
// can be in entropy-coded data (T.81 section B.1.1.5), but in the segments
// between scans, unless one of these is damaged.
func (h *Header) findEnd(data []byte) (end int, found bool) {
	for at, ok := h.Scan, h.scans; ok; {
		var s segment
		if s, ok = nextInScan(data, at); ok && s.marker == markerEOI {
			return s.end, true
		}
		at = s.end
	}
	if i := bytes.Index(data[h.Scan:], eoi); i >= 0 {
		return h.Scan + i + len(eoi), true
	}
	return len(data), false
}

// nextInScan returns the first marker segment after entropy-coded data, in which
// FF is followed by 00 or is a restart marker.
func nextInScan(data []byte, at int) (segment, bool) {
	for ; ; at++ {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 || at+i+1 == len(data) {
			return segment{}, false
		}
		at += i
		m := data[at+1]
		if m != 0 && m != 0xFF && (m < markerRST0 || m >= markerSOI) {
			s, err := nextSegment(data, at)
			return s, err == nil
		}
	}
}

// segment is a marker with its parameters: data[start:end], of which
// data[payload:end] follows the length field.
type segment struct {
	marker              byte
	start, payload, end int
	junk                bool // bytes that belong to no segment came before it
}

// isSOF reports whether the segment is a frame header, of whatever process.
func (s segment) isSOF() bool {
	return s.marker >= markerSOF0 && s.marker <= 0xCF &&
		s.marker != markerDHT && s.marker != markerJPG && s.marker != markerDAC
}

// standalone reports whether a marker has no parameters.
func standalone(marker byte) bool {
	return marker >= markerRST0 && marker <= markerEOI || marker == markerTEM
}

// nextSegment returns the first marker segment at or after an offset. Bytes
// 0xFF before a marker are fill bytes (T.81 section B.1.1.2); the segment starts
// at the last of them.
func nextSegment(data []byte, at int) (s segment, err error) {
	for ; at+1 < len(data); at++ {
		if data[at] == 0xFF && data[at+1] != 0 && data[at+1] != 0xFF {
			break
		}
		s.junk = s.junk || data[at] != 0xFF || data[at+1] == 0
	}
	if at+1 >= len(data) {
		return s, Truncated
	}
	s.marker, s.start, s.payload, s.end = data[at+1], at, at+2, at+2
	if standalone(s.marker) {
		return s, nil
	}
	if at+4 > len(data) {
		return s, Truncated
	}
	length := int(binary.BigEndian.Uint16(data[at+2:]))
	if length < 2 {
		return s, Malformed
	}
	s.payload, s.end = at+4, at+2+length
	if s.end > len(data) {
		return s, Truncated
	}
	return s, nil
}
