package wire

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files in fixtures/wire")

const fixtures = "../../fixtures/wire"

// cases feeds the tests of Append, Parse and Reader, the fuzz seeds, and the
// golden files.
var cases = []struct {
	name    string
	header  Header
	payload []byte
}{
	{"hello", Header{Type: Hello, Version: GreetingVersion, Session: 1}, []byte(`{"program":"tbcam-send","version":"1.0","host":"laptop","protocol":[1,2]}`)},
	{"welcome", Header{Type: Welcome, Session: 0xfeedbeef}, []byte(`{"program":"tbcam-view","version":"1.0","host":"desktop","protocol":[1,2]}`)},
	{"ping", Header{Type: Ping, Session: 7, Sequence: 1}, AppendPing(nil, 3600e9)},
	{"ping-probe", Header{Type: Ping, Session: 7, Sequence: 1}, AppendProbe(nil, 3600e9, MaxPadding)},
	{"pong", Header{Type: Pong, Session: 7, Sequence: 2}, AppendPong(nil, Clock{3600e9, 3601e9, 3602e9}, Count{1, 42}, Count{16, 7})},
	{"start", Header{Type: Start, Stream: 1, Session: 7, Sequence: 3}, []byte(`{"number":1,"format":"mjpeg","width":1280,"height":720,"fps":30}`)},
	{"stop", Header{Type: Stop, Stream: 16, Session: 7, Sequence: 4}, []byte(`{"number":2}`)},
	{"credit", Header{Type: Credit, Stream: 1, Session: 7, Sequence: 5}, AppendCredit(nil, 44)},
	{"frame", Header{Type: Frame, Flags: First | Last, Stream: 1, Session: 7, Sequence: 6}, append(frameHeader.Append(nil), "\xff\xd8\xff\xd9"...)},
	{"frame-first", Header{Type: Frame, Flags: First, Stream: 1, Session: 7, Sequence: 7}, append(frameHeader.Append(nil), 1, 2)},
	{"frame-last", Header{Type: Frame, Flags: Last, Stream: 1, Session: 7, Sequence: 8}, []byte{3, 4}},
	{"frame-unchecked", Header{Type: Frame, Flags: First | Last | Unchecked, Stream: 1, Session: 7, Sequence: 8}, append(frameHeader.Append(nil), "\xff\xd8\xff\xd9"...)},
	{"list", Header{Type: List, Session: 7, Sequence: 9}, nil},
	{"camera-end", Header{Type: Camera, Flags: First | Last, Session: 7, Sequence: 10}, nil},
	{"bye", Header{Type: Bye, Session: 7, Sequence: 11}, []byte("tbcam-view was ended")},
	{"bye-ack", Header{Type: ByeAck, Session: 7, Sequence: 12}, nil},
	{"set", Header{Type: Set, Stream: 1, Session: 7, Sequence: 13}, []byte(`{"have":1,"set":[{"number":1,"id":9963776,"value":5}]}`)},
	{"controls", Header{Type: Controls, Stream: 1, Session: 7, Sequence: 14}, []byte(`{"number":2,"camera":"HD Webcam","opening":1,"answers":[{"number":1,"granted":{"id":9963776,"value":5}}]}`)},
	{"unknown", Header{Type: 255, Flags: ^Sealed, Stream: 0xffff, Session: math.MaxUint32, Sequence: math.MaxUint32}, []byte{0}},
}

var frameHeader = FrameHeader{
	Index: 41, Sequence: 43, Mode: 1, Size: 4, Encoding: 7500, Captured: 3600e9, Dequeued: 3601e9, Encoded: 3602e9, Sent: 3603e9,
	LostDriver: 1, LostDamaged: 2, LostSuperseded: 3,
}

// stream returns the records of all cases, one after the other.
func stream() []byte {
	var b []byte
	for _, c := range cases {
		b = Append(b, c.header, c.payload)
	}
	return b
}

func TestGolden(t *testing.T) {
	for _, c := range cases {
		path := filepath.Join(fixtures, c.name+".bin")
		got := Append(nil, c.header, c.payload)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: Append made\n%x, the golden file has\n%x", c.name, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range cases {
		b := Append([]byte("before"), c.header, c.payload)[len("before"):]
		h, payload, err := Parse(append(b, "after"...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := c.header
		want.Length, want.checksum = len(c.payload), h.checksum
		if h != want || !bytes.Equal(payload, c.payload) {
			t.Errorf("%s: got %+v %q, want %+v %q", c.name, h, payload, want, c.payload)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for _, c := range cases {
		b := Append(nil, c.header, c.payload)
		for n := range b {
			if _, _, err := Parse(b[:n]); !errors.Is(err, ErrShort) {
				t.Errorf("%s: the first %d of %d bytes: got %v, want %v", c.name, n, len(b), err, ErrShort)
			}
			if _, _, err := Parse(b[n:]); n > 0 && !errors.Is(err, ErrMagic) && !errors.Is(err, ErrShort) {
				t.Errorf("%s: without the first %d of %d bytes: got %v", c.name, n, len(b), err)
			}
		}
	}
}

// Every single bit counts, but for those of a payload that has no checksum.
func TestParseDamaged(t *testing.T) {
	for _, c := range cases {
		b := Append(nil, c.header, c.payload)
		counting := len(b)
		if !c.header.isChecked() {
			counting = HeaderSize
		}
		for bit := range 8 * counting {
			b[bit/8] ^= 1 << (bit % 8)
			if _, _, err := Parse(b); err == nil {
				t.Errorf("%s: bit %d of byte %d does not count", c.name, bit%8, bit/8)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// reheader returns a header with one byte changed and its checksum made right.
func reheader(at int, value byte) []byte {
	b := AppendHeader(nil, Header{Type: Ping}, nil)
	b[at] = value
	return sum(b)
}

func TestParseHostile(t *testing.T) {
	for name, c := range map[string]struct {
		record []byte
		want   error
	}{
		"no magic":          {[]byte("\x8aTBX"), ErrMagic},
		"zeros":             {make([]byte, HeaderSize), ErrMagic},
		"later version":     {reheader(4, Version+1), ErrVersion},
		"version 0":         {reheader(4, 0), ErrVersion},
		"length 16 MiB":     {reheader(23, 1), ErrLength},
		"length 4 GiB":      {sum(append(reheader(0, magic[0])[:20], 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)), ErrLength},
		"one too long":      {AppendHeader(nil, Header{}, make([]byte, MaxPayload+1)), ErrLength},
		"longest, no bytes": {AppendHeader(nil, Header{}, make([]byte, MaxPayload)), ErrShort},
		"reserved bytes":    {reheader(10, 1), nil},
	} {
		if _, _, err := Parse(c.record); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestTypeString(t *testing.T) {
	for typ, want := range map[Type]string{Hello: "hello", ByeAck: "bye-ack", 0: "type 0", Controls: "controls", Auth: "auth", Auth + 1: "type 18", 255: "type 255"} {
		if got := typ.String(); got != want {
			t.Errorf("%d: got %q, want %q", uint8(typ), got, want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	room, payload := make([]byte, 0, HeaderSize), make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() { AppendHeader(room, Header{Type: Frame}, payload, payload) }); n != 0 {
		t.Errorf("AppendHeader allocates %v times", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range cases {
		f.Add(Append(nil, c.header, c.payload))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := Parse(b)
		if err != nil {
			return
		}
		again := Append(nil, h, payload)
		copy(again[10:12], b[10:12]) // reserved
		if !h.isChecked() {
			copy(again[24:28], b[24:28]) // ignored
		}
		if !bytes.Equal(sum(again[:HeaderSize]), b[:HeaderSize]) {
			t.Errorf("%+v came from other bytes", h)
		}
	})
}

func BenchmarkAppendHeader(b *testing.B) {
	room, payload := make([]byte, 0, HeaderSize), make([]byte, MaxPayload)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		AppendHeader(room, Header{Type: Frame}, payload)
	}
}
