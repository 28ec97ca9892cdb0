package jfif

import "github.com/tbcam/tbcam/capture"

// RepairRoom is how many bytes AppendRepaired adds to a JPEG at most.
var RepairRoom = len(standardHuffman) + len(eoi)

// Needs reports whether a repair is due, by one of the causes before NoSOI.
func (h *Header) Needs(repair Cause) bool {
	switch repair {
	case JunkBefore:
		return h.Start > 0
	case JunkBetween:
		return h.junk
	case NoHuffman:
		return !h.Huffman && !h.Progressive // Annex K has no tables for progressive JPEGs
	case NoEOI:
		return !h.Complete
	case JunkAfter:
		return h.End < h.size
	}
	return false
}

// IsIntact reports whether data[:h.End] needs no repair.
func (h *Header) IsIntact() bool {
	return !h.Needs(JunkBefore) && !h.Needs(JunkBetween) && !h.Needs(NoHuffman) && !h.Needs(NoEOI)
}

// AppendRepaired appends to dst what is good of data, of which h is the header,
// and what it lacks: the standard Huffman tables and EOI.
func (h *Header) AppendRepaired(dst, data []byte) []byte {
	dst = append(dst, 0xFF, SOI)
	for at := h.Start + 2; ; {
		s, err := NextSegment(data, at)
		if err != nil || s.Start >= h.SOS { // no error: ParseHeader came this way
			break
		}
		dst = append(dst, data[s.Start:s.End]...)
		at = s.End
	}
	// A decoder needs the tables before the scan that they are for.
	if h.Needs(NoHuffman) {
		dst = append(dst, standardHuffman...)
	}
	dst = append(dst, data[h.SOS:h.End]...)
	if !h.Complete {
		dst = append(dst, eoi...)
	}
	return dst
}

// limitedRange is the comment by which FFmpeg marks and recognises JPEGs with
// limited-range samples; without it the samples of a JPEG are full range (JFIF).
const limitedRange = "CS=ITU601"

// limitedComment is the segment that marks limited-range samples.
var limitedComment = append([]byte{0xFF, COM, 0, byte(2 + len(limitedRange))}, limitedRange...)

// MarkRoom is how many bytes AppendMarked adds to a JPEG at most.
var MarkRoom = len(limitedComment)

// AppendMarked appends a JPEG of full-range samples to dst, and marks it as one of
// range r. The comment follows the JFIF segment, which has to be the first one.
func AppendMarked(dst, jpeg []byte, r capture.Range) []byte {
	if r == capture.Full {
		return append(dst, jpeg...)
	}
	at := 2
	if s, err := NextSegment(jpeg, at); err == nil && s.Marker == APP0 {
		at = s.End
	}
	dst = append(dst, jpeg[:at]...)
	dst = append(dst, limitedComment...)
	return append(dst, jpeg[at:]...)
}
