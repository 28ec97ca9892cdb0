package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/iotest"
)

// sum makes the checksum of a header right.
func sum(header []byte) []byte {
	binary.LittleEndian.PutUint32(header[28:], crc32.Checksum(header[:28], castagnoli))
	return header
}

// record is one that was read, with a copy of its payload.
type record struct {
	header  Header
	payload string
}

// readAll returns all records, and the error that followed them.
func readAll(src io.Reader) ([]record, Damage, error) { return drain(NewReader(src)) }

func drain(r *Reader) (records []record, damage Damage, err error) {
	for {
		h, payload, err := r.Next()
		if err != nil {
			return records, r.Damage(), err
		}
		rest := make([]byte, r.Rest())
		if n := r.ReadRest(rest); n == len(rest) {
			records = append(records, record{h, string(payload) + string(rest)})
		}
	}
}

func TestReader(t *testing.T) {
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once":        func(r io.Reader) io.Reader { return r },
		"byte by byte":   iotest.OneByteReader,
		"half of it":     iotest.HalfReader,
		"data and error": iotest.DataErrReader,
	} {
		directly, _, _ := drain(NewDirectReader(wrap(bytes.NewReader(stream()))))
		records, damage, err := readAll(wrap(bytes.NewReader(stream())))
		if !slices.Equal(directly, records) {
			t.Errorf("%s: read directly are\n%+v, not\n%+v", name, directly, records)
		}
		if err != io.EOF || damage != (Damage{}) || len(records) != len(cases) {
			t.Errorf("%s: %d records of %d, %+v, %v", name, len(records), len(cases), damage, err)
			continue
		}
		for i, c := range cases {
			if r := records[i]; r.header.Type != c.header.Type || r.payload != string(c.payload) {
				t.Errorf("%s: record %d is %+v", name, i, r)
			}
		}
	}
}

func TestReaderPadding(t *testing.T) {
	var b []byte
	for i, c := range cases {
		b = append(b, make([]byte, i*i*PacketSize/16)...)
		b = Append(b, c.header, c.payload)
	}
	records, damage, err := readAll(bytes.NewReader(append(b, 0, 0, 0)))
	if len(records) != len(cases) || damage != (Damage{}) || err != io.EOF {
		t.Errorf("%d records of %d, %+v, %v", len(records), len(cases), damage, err)
	}
}

func TestReaderErrors(t *testing.T) {
	_, _, err := readAll(bytes.NewReader(append(stream(), reheader(4, Version+1)...)))
	if !errors.Is(err, ErrVersion) {
		t.Errorf("a later version: got %v", err)
	}
	if _, _, err = readAll(iotest.ErrReader(os.ErrClosed)); err != os.ErrClosed {
		t.Errorf("a source that fails: got %v", err)
	}
	if _, _, err = readAll(emptyReader{}); err != io.ErrNoProgress {
		t.Errorf("a source that returns nothing: got %v", err)
	}
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// damages are what can happen to some bytes of a stream.
var damages = map[string]func(r *rand.Rand, b []byte) []byte{
	"flip": func(r *rand.Rand, b []byte) []byte {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return b
	},
	"lose":    func(*rand.Rand, []byte) []byte { return nil },
	"zero":    func(_ *rand.Rand, b []byte) []byte { return make([]byte, len(b)) },
	"insert":  func(r *rand.Rand, b []byte) []byte { return append(randomBytes(r, 1+r.IntN(5000)), b...) },
	"replace": func(r *rand.Rand, b []byte) []byte { return randomBytes(r, len(b)) },
	"magic": func(_ *rand.Rand, b []byte) []byte {
		return bytes.Repeat([]byte(magic), len(b)/len(magic)+1)[:len(b)]
	},
	"repeat": func(_ *rand.Rand, b []byte) []byte { return append(bytes.Clone(b), b...) },
	"hostile length": func(_ *rand.Rand, b []byte) []byte {
		return AppendHeader(nil, Header{Type: Frame, Session: 1}, make([]byte, MaxPayload))
	},
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}).Read(b)
	return b
}

// Whatever happens to the bytes of a record: it alone is lost.
func TestReaderResync(t *testing.T) {
	for name, damage := range damages {
		for seed := range uint64(50) {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				testResync(t, rand.New(rand.NewPCG(seed, 0)), damage)
			})
		}
	}
}

func testResync(t *testing.T, r *rand.Rand, damage func(*rand.Rand, []byte) []byte) {
	const count = 20
	var b []byte
	hit := map[uint32]bool{}
	for i := range uint32(count) {
		whole := Append(nil, Header{Type: Frame, Session: 1, Sequence: i}, randomBytes(r, randomLength(r)))
		if r.IntN(4) == 0 {
			hit[i] = true
			from := r.IntN(len(whole))
			to := from + 1 + r.IntN(len(whole)-from)
			whole = slices.Concat(whole[:from], damage(r, bytes.Clone(whole[from:to])), whole[to:])
		}
		b = append(b, whole...)
	}
	records, _, err := readAll(&pieceReader{b, r})
	if err != io.EOF {
		t.Fatal(err)
	}
	next := uint32(0)
	for _, got := range records {
		for ; next < got.header.Sequence; next++ {
			if !hit[next] {
				t.Errorf("record %d was lost, but not hit", next)
			}
		}
		next = got.header.Sequence + 1
	}
	for ; next < count; next++ {
		if !hit[next] {
			t.Errorf("record %d was lost, but not hit", next)
		}
	}
}

func randomLength(r *rand.Rand) int {
	if r.IntN(10) == 0 {
		return r.IntN(MaxPayload + 1)
	}
	return r.IntN(1000)
}

// pieceReader returns a random number of bytes at a time.
type pieceReader struct {
	rest   []byte
	random *rand.Rand
}

func (p *pieceReader) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(p.rest), 1+p.random.IntN(100_000))
	copy(b, p.rest[:n])
	p.rest = p.rest[n:]
	return n, nil
}

// A record that lost its end does not hold up the small ones that follow it,
// although they do not fill its length.
func TestReaderInterrupted(t *testing.T) {
	large := Append(nil, Header{Type: Frame, Sequence: 1}, make([]byte, 100_000))
	pong := Append(nil, Header{Type: Pong, Sequence: 2}, AppendPong(nil, Clock{}, Count{1, 1}))
	for _, c := range []struct {
		name   string
		chunks [][]byte
	}{
		{"on its own", [][]byte{large[:50_000], pong}},
		{"in halves", [][]byte{large[:50_000], pong[:20], pong[20:]}},
		{"after padding", [][]byte{large[:50_000], {0}, pong}},
		{"after a lost header", [][]byte{large[:50_000], large[20:1000], pong}},
		{"together, then again", [][]byte{slices.Concat(large[:50_000], pong), pong}},
	} {
		r := NewReader(&chunkReader{t, c.chunks})
		if h, _, err := r.Next(); h.Type != Pong || err != nil {
			t.Errorf("%s: got %v, %v", c.name, h, err)
		}
		if d := r.Damage(); d.Records != 1 || d.Bytes < 50_000 {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	// What is slow, but whole, is not interrupted.
	if got, _, _ := readAll(iotest.OneByteReader(bytes.NewReader(append(large, pong...)))); len(got) != 2 {
		t.Errorf("byte by byte: %d records of 2", len(got))
	}
}

// chunkReader returns one chunk at a time; a further read would wait for ever.
type chunkReader struct {
	t      *testing.T
	chunks [][]byte
}

func (c *chunkReader) Read(b []byte) (int, error) {
	if len(c.chunks) == 0 {
		c.t.Error("the reader waits for more")
		return 0, io.EOF
	}
	n := copy(b, c.chunks[0])
	if c.chunks[0] = c.chunks[0][n:]; len(c.chunks[0]) == 0 {
		c.chunks = c.chunks[1:]
	}
	return n, nil
}

// Bytes that claim to be records are not checked again and again, whatever they
// claim and however few come at a time.
func TestReaderWork(t *testing.T) {
	header := func(length int) []byte {
		return AppendHeader(nil, Header{Type: Frame, Session: 1}, make([]byte, length))
	}
	pong := Append(nil, Header{Type: Pong, Session: 1}, AppendPong(nil, Clock{}, Count{1, 1}))
	long := reheader(4, Version)
	binary.LittleEndian.PutUint32(long[20:], MaxPayload)
	binary.LittleEndian.PutUint32(long[24:], 1) // is not the checksum of anything
	sum(long)
	for name, c := range map[string]struct {
		unit []byte
		few  int // bytes at a time, 0: as many as fit
	}{
		"headers back to back":      {long, 0},
		"with good records between": {slices.Concat(long, pong), 0},
		"headers in small reads":    {long, 100},
		"headers in smallest reads": {slices.Concat(long, header(1000), header(500)[:28]), 1},
		"short ones in small reads": {slices.Concat(long, bytes.Repeat(header(64), 1000)), 100},
	} {
		r := NewReader(&meter{io.LimitReader(&loop{bytes: bytes.Repeat(c.unit, 2000)}, 64<<20), c.few})
		_, _, err := drain(r)
		if err != ErrHostile {
			t.Errorf("%s: it ended with %v", name, err)
		}
		if limit := vainBytes + vainTimes*r.read + 2*MaxRecord; r.vain > limit {
			t.Errorf("%s: of %d bytes %d were checked in vain, allowed are %d", name, r.read, r.vain, limit)
		}
	}
}

// meter returns a few bytes at a time.
type meter struct {
	src io.Reader
	few int
}

func (m *meter) Read(b []byte) (int, error) {
	if m.few > 0 {
		b = b[:min(m.few, len(b))]
	}
	return m.src.Read(b)
}

// A line that damages every second record of the largest size is not taken for a
// hostile peer, and what is whole comes.
func TestReaderBearsDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var b []byte
	for i := range uint32(400) {
		record := Append(nil, Header{Type: Frame, Session: 1, Sequence: i}, randomBytes(random, MaxPayload))
		if i%2 == 0 {
			record = slices.Concat(record[:100_000], record[104_000:])
		}
		b = append(b, record...)
	}
	records, _, err := readAll(&pieceReader{b, random})
	if len(records) != 200 || err != io.EOF {
		t.Errorf("%d records of 200 came, then %v", len(records), err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(stream(), 0, true)
	f.Add(append(make([]byte, 100), stream()...), 7, false)
	for name, damage := range damages {
		r := rand.New(rand.NewPCG(1, uint64(len(name))))
		b := stream()
		f.Add(slices.Concat(b[:300], damage(r, b[300:500]), b[500:]), 1000, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, seed int, heal bool) {
		if heal {
			b = healed(b)
		}
		for _, open := range []func(io.Reader) *Reader{NewReader, NewDirectReader} {
			records, _, err := drain(open(&pieceReader{b, rand.New(rand.NewPCG(uint64(seed), 0))}))
			if err != io.EOF && !errors.Is(err, ErrVersion) && err != ErrHostile {
				t.Errorf("ended with %v", err)
			}
			for _, got := range records {
				checkRead(t, b, got)
			}
		}
	})
}

// healed makes the checksums right of what looks like a record, as a hostile
// peer does.
func healed(b []byte) []byte {
	b = bytes.Clone(b)
	for at := range b {
		rest := b[at:]
		if len(rest) < HeaderSize || !bytes.HasPrefix(rest, []byte(magic)) {
			continue
		}
		length := min(int64(binary.LittleEndian.Uint32(rest[20:])), int64(len(rest)-HeaderSize))
		payload := rest[HeaderSize:][:length]
		binary.LittleEndian.PutUint32(rest[24:], crc32.Checksum(payload, castagnoli))
		sum(rest[:HeaderSize])
	}
	return b
}

// checkRead checks that a record that was read is in the input, byte by byte.
func checkRead(t *testing.T, b []byte, got record) {
	again := Append(nil, got.header, []byte(got.payload))
	for at := range b {
		if rest := b[at:]; bytes.HasPrefix(rest, again[:10]) && len(rest) >= len(again) {
			copy(again[10:12], rest[10:12]) // reserved
			if !got.header.isChecked() {
				copy(again[24:28], rest[24:28]) // ignored
			}
			sum(again[:HeaderSize])
			if bytes.HasPrefix(rest, again) {
				return
			}
		}
	}
	t.Errorf("%+v is not in the input", got)
}

// loop repeats its bytes for ever.
type loop struct {
	bytes []byte
	at    int
}

func (l *loop) Read(b []byte) (int, error) {
	n := copy(b, l.bytes[l.at:])
	l.at = (l.at + n) % len(l.bytes)
	return n, nil
}

// Of a large frame a direct reader buffers one packet, and a caller that does not
// want the rest gets the next record.
func TestReadRest(t *testing.T) {
	frame := bytes.Repeat([]byte("tbcam"), 40_000)
	one := Append(nil, Header{Type: Frame, Flags: Unchecked, Session: 7}, frame)
	two := Append(slices.Clone(one), Header{Type: Ping, Session: 7, Sequence: 1}, AppendPing(nil, 1))

	r := NewDirectReader(bytes.NewReader(two))
	_, payload, err := r.Next()
	if err != nil || len(payload) != PacketSize-HeaderSize || r.Rest() != len(frame)-len(payload) {
		t.Fatalf("%d bytes, rest %d, %v", len(payload), r.Rest(), err)
	}
	if h, _, err := r.Next(); h.Type != Ping || err != nil {
		t.Errorf("after a frame that nobody read came %v, %v", h.Type, err)
	}

	r = NewDirectReader(bytes.NewReader(one[:100_000]))
	_, payload, _ = r.Next()
	if n := r.ReadRest(make([]byte, r.Rest())); n != 100_000-HeaderSize-len(payload) {
		t.Errorf("of a frame that was cut %d bytes came", n)
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("a frame that was cut ended with %v", err)
	}
}

func BenchmarkReader(b *testing.B) {
	for _, size := range []int{HeaderSize, 200_000, MaxPayload} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := NewReader(&loop{bytes: Append(nil, Header{Type: Frame, Session: 1}, make([]byte, size))})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
