package wire

import (
	"errors"
	"math"
	"testing"
)

// payloads holds the good payloads of the types that are not text.
var payloads = map[string]struct {
	good  []byte
	parse func([]byte) ([]byte, error) // and append again
}{
	"credit": {AppendCredit(nil, math.MaxUint64), func(b []byte) ([]byte, error) {
		total, err := ParseCredit(b)
		return AppendCredit(nil, total), err
	}},
	"ping": {AppendPing(nil, math.MaxInt64), func(b []byte) ([]byte, error) {
		sent, err := ParsePing(b)
		return AppendPing(nil, sent), err
	}},
	"pong": {AppendPong(nil, Clock{1, math.MinInt64, 3}, 4), func(b []byte) ([]byte, error) {
		c, sent, err := ParsePong(b)
		return AppendPong(nil, c, sent), err
	}},
	"frame": {frameHeader.Append(nil), func(b []byte) ([]byte, error) {
		h, rest, err := ParseFrameHeader(b)
		return append(h.Append(nil), rest...), err
	}},
}

func TestPayloads(t *testing.T) {
	for name, p := range payloads {
		again, err := p.parse(p.good)
		if err != nil || string(again) != string(p.good) {
			t.Errorf("%s: got %x, %v, want %x", name, again, err, p.good)
		}
		for n := range p.good {
			if _, err := p.parse(p.good[:n]); !errors.Is(err, ErrPayload) {
				t.Errorf("%s: the first %d bytes: got %v, want %v", name, n, err, ErrPayload)
			}
		}
		_, err = p.parse(append(p.good, 0))
		if longer := name == "frame"; longer != (err == nil) {
			t.Errorf("%s: with one more byte: got %v", name, err)
		}
	}
}

func TestFrameHeaderBounds(t *testing.T) {
	for name, h := range map[string]FrameHeader{
		"size":     {Size: math.MaxInt32 + 1},
		"captured": {Captured: -1},
		"dequeued": {Dequeued: math.MinInt64},
		"encoded":  {Encoded: -1},
		"sent":     {Sent: -1},
	} {
		if got, _, err := ParseFrameHeader(h.Append(nil)); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, ErrPayload)
		}
	}
	if n := len((&FrameHeader{}).Append(nil)); n != FrameHeaderSize {
		t.Errorf("it has %d bytes, not FrameHeaderSize", n)
	}
}
