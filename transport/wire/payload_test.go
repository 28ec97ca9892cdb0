package wire

import (
	"errors"
	"math"
	"slices"
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
	"probe": {AppendProbe(nil, math.MaxInt64, MaxPadding)[:16], func(b []byte) ([]byte, error) {
		sent, padding, err := ParseProbe(b)
		if len(b) != 16 {
			return nil, errors.Join(err, ErrPayload) // it may be a Ping without padding
		}
		return AppendProbe(nil, sent, padding), err
	}},
	"pong": {AppendPong(nil, Clock{1, math.MinInt64, 3}), func(b []byte) ([]byte, error) {
		c, counts, err := ParsePong(b, nil)
		return AppendPong(nil, c, counts...), err
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

func TestPongCounts(t *testing.T) {
	var most []Count
	for n := range uint16(MaxStreams) {
		most = append(most, Count{n + 1, math.MaxUint64 - uint64(n)})
	}
	payload := AppendPong(nil, Clock{1, 2, 3}, most...)
	if c, got, err := ParsePong(payload, make([]Count, 0, 1)); err != nil || !slices.Equal(got, most) || c != (Clock{1, 2, 3}) {
		t.Errorf("got %v, %v, %v", c, got, err)
	}
	for name, bad := range map[string][]byte{
		"too many":    append(payload, payload[clockSize:clockSize+countSize]...),
		"cut":         payload[:len(payload)-1],
		"stream 0":    AppendPong(nil, Clock{}, Count{0, 1}),
		"stream 17":   AppendPong(nil, Clock{}, Count{MaxStreams + 1, 1}),
		"stream 2^40": append(AppendPong(nil, Clock{}), 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	} {
		if _, got, err := ParsePong(bad, nil); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}
