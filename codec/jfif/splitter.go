package jfif

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// chunk is how many bytes are read at once at the least.
const chunk = 256 << 10

// segmentHead is the length of a marker and its length field.
const segmentHead = 4

// ErrTooLong is returned for a frame that has no end within the limit; the
// Splitter continues with the next one.
var ErrTooLong = errors.New("frame is too long")

// Splitter finds the frames of plain MJPEG in a byte stream, each as soon as its
// last byte has come. It skips what belongs to no frame. It is not safe for
// concurrent use.
type Splitter struct {
	src   io.Reader
	limit int
	buf   []byte
	start int   // of the frame, or of what was not scanned
	at    int   // where to go on scanning; start <= at <= end
	end   int   // of what was read
	read  int64 // bytes of src
	part  part
}

// part is where in a frame the Splitter is.
type part int

const (
	outside part = iota // before SOI
	header              // before a marker segment
	scan                // in entropy-coded data
)

// NewSplitter returns a Splitter of frames of up to limit bytes. Its memory
// grows with what comes, not with what a header promises.
func NewSplitter(src io.Reader, limit int) *Splitter {
	return &Splitter{src: src, limit: limit, buf: make([]byte, 2*chunk)}
}

// Next returns the next frame, which is valid until the next call. At the end of the
// source it returns io.EOF.
func (s *Splitter) Next() ([]byte, error) {
	for {
		frame := s.scanFrame()
		if max(len(frame), s.at-s.start) > s.limit {
			s.start, s.part = s.at, outside
			return nil, fmt.Errorf("read mjpeg: %w: more than %d bytes", ErrTooLong, s.limit)
		}
		if frame != nil {
			return frame, nil
		}
		if err := s.fillBuffer(); err != nil {
			return nil, err
		}
	}
}

// Offset returns how many bytes of the source come before what Next has not
// returned yet. At the source's end that is where an unfinished frame begins.
func (s *Splitter) Offset() int64 { return s.read - int64(s.end-s.start) }

// scanFrame goes on as far as there are bytes, and returns a frame that is complete.
func (s *Splitter) scanFrame() []byte {
	for {
		var more bool
		switch s.part {
		case outside:
			more = s.findStart()
		case header:
			more = s.skipSegment()
		case scan:
			more = s.skipScan()
		}
		if s.part == outside && s.at > s.start {
			frame := s.buf[s.start:s.at]
			s.start = s.at
			return frame
		}
		if !more {
			return nil
		}
	}
}

// findStart finds the next SOI.
func (s *Splitter) findStart() bool {
	n := bytes.Index(s.buf[s.at:s.end], soi[:2])
	if n < 0 {
		// The last byte may be the first half of a marker.
		if s.at = max(s.at, s.end-1); s.at < s.end && s.buf[s.at] != 0xFF {
			s.at = s.end
		}
		s.start = s.at
		return false
	}
	s.start, s.at, s.part = s.at+n, s.at+n+2, header
	return true
}

// skipSegment skips one marker segment.
func (s *Splitter) skipSegment() bool {
	rest := s.buf[s.at:s.end]
	for len(rest) > 1 && rest[0] == 0xFF && rest[1] == 0xFF { // fill bytes
		rest = rest[1:]
		s.at++
	}
	if len(rest) < 2 {
		return false
	}
	switch marker := rest[1]; {
	case rest[0] != 0xFF, marker == SOI:
		// Not a frame after all: it may begin later.
		s.start, s.part = s.at, outside
		return true
	case marker == EOI:
		s.at, s.part = s.at+2, outside
		return true
	case len(rest) < segmentHead:
		return false
	case marker == SOS:
		s.part = scan
	}
	length := 2 + int(rest[2])<<8 + int(rest[3])
	if len(rest) < length {
		s.part = header
		return false
	}
	s.at += length
	return true
}

// skipScan finds the marker that ends the entropy-coded data.
func (s *Splitter) skipScan() (found bool) {
	if s.at, found = skipScan(s.buf[:s.end], s.at); found {
		s.part = header
	}
	return found
}

// fillBuffer reads once. It makes room by moving what is left to the front, and by
// growing while a frame is larger than the buffer.
func (s *Splitter) fillBuffer() error {
	if len(s.buf)-s.end < chunk {
		if s.end-s.start > len(s.buf)/2 {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.at -= s.start
		s.start = 0
	}
	n, err := s.src.Read(s.buf[s.end:])
	s.end += n
	s.read += int64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
