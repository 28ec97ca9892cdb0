package jfif

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// The identifiers begin the segments that define how colours are coded (JFIF 1.02;
// Adobe Technical Note 5116), whose payloads have at least so many bytes.
var jfifID, adobeID = []byte("JFIF\x00"), []byte("Adobe")

const (
	jfifSize  = 14
	adobeSize = 12
)

// Header is what stands in a JPEG before its first scan.
type Header struct {
	Width, Height int // pixels, 1 to capture.MaxDimension
	Subsampling   Subsampling
	Progressive   bool // else sequential
	Huffman       bool // has Huffman tables before the first scan
	Complete      bool // has an EOI marker
	Range         capture.Range
	Interval      int // MCUs from one restart marker to the next; 0: there are none

	// Offsets into the data: of the SOI marker, of the first SOS marker, of the
	// first entropy-coded byte, and after the EOI marker or the last byte.
	Start, SOS, Scan, End int

	size      int     // of the data, bytes
	sof       int     // offset of the frame header's payload
	unitX     int     // pixels of an MCU, across
	unitY     int     // and down
	junk      bool    // bytes between marker segments that belong to none
	scans     bool    // there are several scans: samples come in parts
	ids       [3]byte // of the components
	jfif      bool    // has a JFIF segment: colours are Y'CbCr
	adobe     bool    // has an Adobe segment
	transform byte    // of the Adobe segment; 0 is RGB
}

// block is the pixels across and down that are coded together.
const block = 8

// Format returns the format of frames with such a header.
func (h Header) Format() capture.Format {
	return capture.Format{Pixel: capture.MJPEG, Width: h.Width, Height: h.Height, Matrix: capture.BT601, Range: h.Range}
}

// ParseHeader reads the marker segments before the first scan (T.81 section
// B.2) and finds the frame's end: of several JPEGs in data (MPO, or what an older
// frame left there) it is the first. It tolerates bytes before SOI and between
// segments. The error wraps a Cause; the header is then of no use.
func ParseHeader(data []byte) (Header, error) {
	h, err := readSegments(data)
	if err == nil {
		err = h.checkShown()
	}
	if err != nil {
		return Header{}, err
	}
	h.End, h.Complete = h.findEnd(data)
	h.size = len(data)
	return h, nil
}

// readSegments reads the marker segments before the first scan.
func readSegments(data []byte) (Header, error) {
	start := bytes.Index(data, soi)
	if start < 0 {
		return Header{}, NoSOI
	}
	h := Header{Start: start, Range: capture.Full}
	for at := start + 2; h.Scan == 0; {
		s, err := NextSegment(data, at)
		if err == nil {
			err = h.takeSegment(s, data)
		}
		if err != nil {
			return Header{}, err
		}
		at = s.End
	}
	return h, nil
}

// checkShown refuses frames that cannot be shown: in RGB, or too large.
func (h *Header) checkShown() error {
	if h.isRGB() {
		return fmt.Errorf("%w: RGB, not Y'CbCr", Unsupported)
	}
	f := h.Format()
	f.Pixel = h.Subsampling.Planar()
	// Decoded coefficients, of two bytes, wait for those of later scans.
	if size := f.Size(); size > capture.MaxFrame || h.scans && 2*size > capture.MaxFrame {
		return fmt.Errorf("%w: it is %dx%d, and decoding takes more than %d MiB", TooLarge, h.Width, h.Height, capture.MaxFrame>>20)
	}
	return nil
}

// isRGB reports whether libjpeg takes the components for R, G and B.
func (h *Header) isRGB() bool {
	switch {
	case h.Subsampling == Grey || h.jfif:
		return false
	case h.adobe:
		return h.transform == 0
	}
	return h.ids == [3]byte{'R', 'G', 'B'}
}

// takeSegment keeps what one marker segment defines.
func (h *Header) takeSegment(s Segment, data []byte) error {
	h.junk = h.junk || s.Junk
	payload := data[s.Payload:s.End]
	switch {
	case s.Marker == SOI:
		// What came before was the rest of another frame.
		*h = Header{Start: s.Start, Range: capture.Full}
	case s.Marker == EOI:
		return NoSOS
	case s.isSOF():
		h.sof = s.Payload
		return h.takeSOF(s.Marker, payload)
	case s.Marker == DRI && len(payload) == 2:
		h.Interval = int(binary.BigEndian.Uint16(payload))
	case s.Marker == DHT:
		h.Huffman = true
	case s.Marker == COM && bytes.HasPrefix(payload, []byte(limitedRange)):
		h.Range = capture.Limited
	case s.Marker == APP0 && len(payload) >= jfifSize && bytes.HasPrefix(payload, jfifID):
		h.jfif = true
	case s.Marker == APP14 && len(payload) >= adobeSize && bytes.HasPrefix(payload, adobeID):
		h.adobe, h.transform = true, payload[adobeSize-1]
	case s.Marker == SOS:
		return h.takeSOS(s, data)
	}
	return nil
}

// takeSOF reads a frame header (T.81 section B.2.2).
func (h *Header) takeSOF(marker byte, p []byte) error {
	switch {
	case h.Width != 0, len(p) < 6, len(p) != 6+3*int(p[5]):
		return Malformed
	case marker > SOF2:
		return fmt.Errorf("%w: lossless, hierarchical or with arithmetic coding", Unsupported)
	case p[0] != 8:
		return fmt.Errorf("%w: %d bits a sample", Unsupported, p[0])
	}
	h.Progressive = marker == SOF2
	h.Height = int(binary.BigEndian.Uint16(p[1:]))
	h.Width = int(binary.BigEndian.Uint16(p[3:]))
	switch {
	case h.Width == 0 || h.Height == 0: // T.81 allows a height of 0, which follows after the scan then
		return fmt.Errorf("%w: %dx%d", Unsupported, h.Width, h.Height)
	case h.Width > capture.MaxDimension || h.Height > capture.MaxDimension:
		return fmt.Errorf("%w: it is %dx%d, the limit is %dx%d", TooLarge, h.Width, h.Height, capture.MaxDimension, capture.MaxDimension)
	}
	return h.takeSampling(int(p[5]), p[6:])
}

// takeSampling reads the components of a frame header: identifier, sampling
// factors and table of each.
func (h *Header) takeSampling(components int, p []byte) error {
	switch {
	case components == 1:
		h.unitX, h.unitY = block, block // whatever the factors (T.81 section A.2.2)
		return nil
	case components != 3:
		return fmt.Errorf("%w: %d components", Unsupported, components)
	}
	h.ids = [3]byte{p[0], p[3], p[6]}
	lumaX, lumaY := int(p[1]>>4), int(p[1]&15)
	chromaX, chromaY := int(p[4]>>4), int(p[4]&15)
	h.unitX, h.unitY = lumaX*block, lumaY*block
	known := false
	if p[4] == p[7] && chromaX != 0 && chromaY != 0 && lumaX%chromaX == 0 && lumaY%chromaY == 0 {
		h.Subsampling, known = parseSubsampling(lumaX/chromaX, lumaY/chromaY)
	}
	if !known {
		return fmt.Errorf("%w: sampling factors %#02x, %#02x, %#02x", Unsupported, p[1], p[4], p[7])
	}
	return nil
}

// takeSOS reads a scan header (T.81 section B.2.3).
func (h *Header) takeSOS(s Segment, data []byte) error {
	switch {
	case h.Width == 0:
		return NoSOF
	case s.End >= len(data):
		return Truncated
	case s.Payload == s.End:
		return Malformed
	}
	h.SOS, h.Scan = s.Start, s.End
	h.scans = h.Progressive || int(data[s.Payload]) < h.Subsampling.Components()
	return nil
}

// findEnd returns the offset after EOI, or the length of data without one. No EOI
// can be in entropy-coded data (T.81 section B.1.1.5), but in the segments
// between scans, unless one of these is damaged.
func (h *Header) findEnd(data []byte) (end int, found bool) {
	for at, ok := h.Scan, h.scans; ok; {
		var s Segment
		if s, ok = nextInScan(data, at); ok && s.Marker == EOI {
			return s.End, true
		}
		at = s.End
	}
	if i := bytes.Index(data[h.Scan:], eoi); i >= 0 {
		return h.Scan + i + len(eoi), true
	}
	return len(data), false
}
