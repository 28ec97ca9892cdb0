package jfif

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// MaxInterval is the most MCUs between two restart markers (T.81 section B.2.4.4).
const MaxInterval = 65535

// restartSegment is the length of a DRI segment, and that of a restart marker.
const (
	restartSegment = 6
	restartMarker  = 2
)

// JoinRoom returns how many bytes AppendJoined adds to n strips at most.
func JoinRoom(n int) int { return MarkRoom + restartSegment + n*restartMarker }

// AppendJoined appends one JPEG to dst that is made of strips, each a JPEG of whole
// rows of MCUs, and marks it as one of range r (see AppendMarked). All strips have
// the same tables, and all but the last the same height, which together are the
// height of the frame. A restart marker stands where one strip ends: there the
// prediction of DC coefficients begins at zero (T.81 section F.1.1.5.1), as at
// the beginning of a file.
func AppendJoined(dst []byte, strips [][]byte, height int, r capture.Range) ([]byte, error) {
	if len(strips) == 1 {
		return AppendMarked(dst, strips[0], r), nil
	}
	first, err := readSegments(strips[0])
	if err != nil {
		return nil, fmt.Errorf("join strips: %w", err)
	}
	interval := first.unitsAcross() * first.unitsDown()
	if interval > MaxInterval {
		return nil, fmt.Errorf("join strips: %d MCUs between restart markers, the limit is %d", interval, MaxInterval)
	}
	start := len(dst)
	dst = AppendMarked(dst, strips[0][:first.SOS], r)
	moved := len(dst) - start - first.SOS // by the comment, which comes before the frame header
	putHeight(dst[start:], first.sof+moved, height)
	dst = append(dst, 0xFF, DRI, 0, restartSegment-2, byte(interval>>8), byte(interval))
	dst = append(dst, strips[0][first.SOS:first.Scan]...)
	for i, strip := range strips {
		h, err := readSegments(strip)
		if err != nil {
			return nil, fmt.Errorf("join strips: %w", err)
		}
		if i > 0 {
			dst = append(dst, 0xFF, restartAfter(i-1))
		}
		dst = append(dst, strip[h.Scan:len(strip)-len(eoi)]...)
	}
	return append(dst, eoi...), nil
}

// restartAfter returns the restart marker that ends interval i (T.81 section B.2.1).
func restartAfter(i int) byte { return RST0 + byte(i%8) }

// putHeight changes the height in the frame header whose payload is at an offset.
func putHeight(jpeg []byte, sof, height int) {
	binary.BigEndian.PutUint16(jpeg[sof+1:], uint16(height))
}

// unitsAcross and unitsDown return how many MCUs a row and a column of the frame has.
func (h *Header) unitsAcross() int { return (h.Width + h.unitX - 1) / h.unitX }
func (h *Header) unitsDown() int   { return (h.Height + h.unitY - 1) / h.unitY }

// Part is a strip of a frame that can be decoded by itself: its lines, where its
// entropy-coded data is, and the number of the first restart marker in it.
type Part struct {
	Top, Lines int
	Start, End int
	Restart    int
}

// maxPartHeader bounds the work of a decoder, which reads the header for each part.
const maxPartHeader = 16 << 10

// AppendParts appends to parts at most n parts of a JPEG, of which h is the header,
// in their order. It appends none where the JPEG is not to be divided: where its
// restart markers allow it nowhere, or where they are not those that it
// announces, so that only a decoder of the whole finds out what is wrong.
func (h *Header) AppendParts(parts []Part, data []byte, n int) []Part {
	rows := h.partRows(n)
	if rows >= h.unitsDown() {
		return parts
	}
	before, units := len(parts), h.unitsAcross()
	every := rows * units / h.Interval // intervals in a part
	last := (units*h.unitsDown() - 1) / h.Interval
	p := Part{Lines: rows * h.unitY, Start: h.Scan}
	at := h.Scan
	for i := 0; ; i++ {
		end, marker := nextMarker(data[:h.End], at)
		switch {
		case i == last && marker == EOI:
			// The decoder of the last part is to find EOI by itself, as one of the whole does.
			p.Lines, p.End = h.Height-p.Top, h.End
			return append(parts, p)
		case i == last || marker != restartAfter(i):
			return parts[:before]
		case (i+1)%every == 0:
			p.End = end
			parts = append(parts, p)
			p = Part{Top: p.Top + p.Lines, Lines: p.Lines, Start: end + restartMarker, Restart: (i + 1) % 8}
		}
		at = end + restartMarker
	}
}

// nextMarker returns the marker that follows entropy-coded data, and its offset; 0 is
// none.
func nextMarker(data []byte, at int) (offset int, marker byte) {
	for {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 || at+i+1 >= len(data) {
			return len(data), 0
		}
		at += i + 1
		if m := data[at]; m != 0 && m != 0xFF {
			return at - 1, m
		}
	}
}

// partRows returns how many rows of MCUs each of n parts has, but the last; all of
// them, if the JPEG is not to be divided. A part begins where a row and an interval
// begin together.
func (h *Header) partRows(n int) int {
	if !h.Complete || h.scans || h.Interval == 0 || h.Scan-h.Start > maxPartHeader {
		return h.unitsDown()
	}
	step := h.Interval / commonDivisor(h.Interval, h.unitsAcross())
	steps := (h.unitsDown() + step - 1) / step
	return (steps + n - 1) / n * step
}

func commonDivisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// AppendPartHeader appends what a decoder of a part reads before its data.
func (h *Header) AppendPartHeader(dst, data []byte, p Part) []byte {
	start := len(dst)
	dst = append(dst, data[h.Start:h.Scan]...)
	putHeight(dst[start:], h.sof-h.Start, p.Lines)
	return dst
}
