package jfif_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

// join returns two equal strips joined, of 160x120 pixels each.
func join(t *testing.T, r capture.Range) []byte {
	t.Helper()
	strip := readFixture(t, "good-422")
	joined, err := jfif.AppendJoined([]byte("before"), [][]byte{strip, strip}, 240, r)
	if err != nil {
		t.Fatal(err)
	}
	if added := len(joined) - len("before"); added > 2*len(strip)+jfif.JoinRoom(2) {
		t.Errorf("%d bytes, more than JoinRoom", added)
	}
	return bytes.TrimPrefix(joined, []byte("before"))
}

func TestAppendJoined(t *testing.T) {
	for _, r := range []capture.Range{capture.Full, capture.Limited} {
		joined := join(t, r)
		h, err := jfif.ParseHeader(joined)
		if err != nil || h.Width != 160 || h.Height != 240 || h.Range != r || h.Interval != 10*15 || !h.IsIntact() {
			t.Fatalf("header is %+v, error %v", h, err)
		}
		strip := readFixture(t, "good-422")
		s, _ := jfif.ParseHeader(strip)
		scan := strip[s.Scan : len(strip)-2]
		want := append(append(append(bytes.Clone(scan), 0xFF, jfif.RST0), scan...), 0xFF, jfif.EOI)
		if !bytes.Equal(joined[h.Scan:], want) {
			t.Error("the data is not that of the strips with a restart marker between them")
		}
	}
}

func TestAppendJoinedRefuses(t *testing.T) {
	good := readFixture(t, "good-422")
	large := jpegsamples.InSOF(1, 0x10)(jpegsamples.InSOF(3, 0x10)(good)) // 4216x4256: 140448 MCUs
	for name, strips := range map[string][][]byte{
		"first is damaged":  {good[:100], good},
		"second is damaged": {good, good[:100]},
		"65535 MCUs":        {large, large},
	} {
		if _, err := jfif.AppendJoined(nil, strips, 240, capture.Full); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAppendParts(t *testing.T) {
	joined := join(t, capture.Full)
	h, _ := jfif.ParseHeader(joined)
	boundary := h.Scan + bytes.Index(joined[h.Scan:], []byte{0xFF, jfif.RST0})
	for _, n := range []int{2, 16} {
		parts := h.AppendParts(nil, joined, n)
		want := []jfif.Part{
			{Top: 0, Lines: 120, Start: h.Scan, End: boundary},
			{Top: 120, Lines: 120, Start: boundary + 2, End: len(joined), Restart: 1},
		}
		if len(parts) != 2 || parts[0] != want[0] || parts[1] != want[1] {
			t.Fatalf("parts are %+v instead of %+v", parts, want)
		}
		part := h.AppendPartHeader(nil, joined, parts[1])
		p, err := jfif.ParseHeader(append(part, joined[parts[1].Start:]...))
		if err != nil || p.Height != 120 || p.Width != 160 {
			t.Errorf("the part's header is %+v, error %v", p, err)
		}
	}
}

// TestAppendNoParts: a decoder of parts would do too much, or other things than one
// of the whole.
func TestAppendNoParts(t *testing.T) {
	joined := join(t, capture.Full)
	comment := append([]byte{0xFF, jfif.COM, 0x40, 0x00}, strings.Repeat("x", 0x3FFE)...)
	flood := append(bytes.Clone(joined[:len(joined)-2]), bytes.Repeat([]byte("\xFF\xD1\xFF\xD2\xFF\xD3\xFF\xD4\xFF\xD5\xFF\xD6\xFF\xD7\xFF\xD0"), 1000)...)
	for name, data := range map[string][]byte{
		"one part asked for": joined,
		"long header":        jpegsamples.InsertBefore(joined, jfif.SOS, comment),
		"flood of restarts":  append(flood, 0xFF, jfif.EOI),
		"progressive":        readFixture(t, "good-420-progressive"),
		"no restarts":        readFixture(t, "good-422"),
		"too few restarts":   jpegsamples.InSOF(1, 2)(joined),
		"cut short":          joined[:len(joined)-2],
	} {
		h, err := jfif.ParseHeader(data)
		if err != nil {
			t.Fatal(err)
		}
		n := 8
		if name == "one part asked for" {
			n = 1
		}
		if parts := h.AppendParts(make([]jfif.Part, 1), data, n); len(parts) != 1 {
			t.Errorf("%s: %d parts", name, len(parts)-1)
		}
	}
}
