package trust

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"testing"
)

var testKey = []byte("0123456789abcdef")

// bound is what of a header is bound to a record.
var bound = []byte("with 24 bytes of header.")

func TestSealAndOpen(t *testing.T) {
	for _, pieces := range [][]string{{""}, {"one"}, {"head", "and", "tail"}, {}, {"", "x"}} {
		s, o := NewSealer(testKey), NewOpener(testKey)
		var payload [][]byte
		var want []byte
		for _, p := range pieces {
			payload = append(payload, []byte(p))
			want = append(want, p...)
		}
		sealed := s.Seal([]byte("before"), bound, 0, payload...)
		if len(sealed) != len("before")+len(want)+Overhead || !bytes.HasPrefix(sealed, []byte("before")) {
			t.Errorf("%q: sealed are %d bytes", pieces, len(sealed))
		}
		plain, err := o.Open([]byte("frame:"), bound, 0, sealed[6:])
		if err != nil || string(plain) != "frame:"+string(want) {
			t.Errorf("%q: got %q, %v", pieces, plain, err)
		}
	}
}

// TestSealBindsRecords: what is not this record, of this session and direction, at its
// place, is refused; and costs no other one.
func TestSealBindsRecords(t *testing.T) {
	s, other := NewSealer(testKey), NewSealer([]byte("of another session or direction.")[:keySize])
	payload := []byte("a frame")
	record := func(n uint32) []byte { return s.Seal(nil, bound, n, payload) }
	records := [][]byte{record(0), record(1), record(2), record(3)}
	o := NewOpener(testKey)
	open := func(name string, n uint32, header, sealed []byte, want error) {
		t.Helper()
		if plain, err := o.Open(nil, header, n, sealed); !errors.Is(err, want) || err == nil && !bytes.Equal(plain, payload) {
			t.Errorf("%s: got %q, %v, want %v", name, plain, err, want)
		}
	}
	open("the first", 0, bound, records[0], nil)
	open("it again", 0, bound, records[0], ErrReplayed)
	open("it again, as another one", 1, bound, records[0], ErrSeal)
	open("of another session", 1, bound, other.Seal(nil, bound, 1, payload), ErrSeal)
	open("with another header", 1, append([]byte("W"), bound[1:]...), records[1], ErrSeal)
	open("too short for a seal", 1, bound, records[1][:Overhead-1], ErrSeal)
	open("nothing", 1, bound, nil, ErrSeal)
	for i := range records[1] {
		damaged := bytes.Clone(records[1])
		damaged[i] ^= 0x10
		open(fmt.Sprintf("with byte %d changed", i), 1, bound, damaged, ErrSeal)
		open(fmt.Sprintf("without byte %d", i), 1, bound, append(bytes.Clone(records[1][:i]), records[1][i+1:]...), ErrSeal)
	}
	open("from far ahead", 1<<30, bound, records[1], ErrSeal)
	open("the third, when the second is missing", 2, bound, records[2], nil)
	open("the second, after that", 1, bound, records[1], ErrReplayed)
	open("the fourth", 3, bound, records[3], nil)
}

// TestSequenceWraps: behind 2^32 records nothing is repeated and nothing replayed.
func TestSequenceWraps(t *testing.T) {
	s, o := NewSealer(testKey), NewOpener(testKey)
	s.next, o.next = math.MaxUint32-1, math.MaxUint32-1
	old := NewSealer(testKey).Seal(nil, bound, 1, []byte("old"))
	for i := range 5 {
		sequence := uint32(math.MaxUint32-1) + uint32(i)
		sealed := s.Seal(nil, bound, sequence, []byte("frame"))
		if sequence == 1 {
			if _, err := o.Open(nil, bound, sequence, old); !errors.Is(err, ErrSeal) {
				t.Errorf("a record of 2^32 records ago: %v", err)
			}
		}
		if _, err := o.Open(nil, bound, sequence, sealed); err != nil {
			t.Errorf("record %#x: %v", sequence, err)
		}
	}
	if o.next != math.MaxUint32+4 || s.next != o.next {
		t.Errorf("the next are %#x, %#x", s.next, o.next)
	}
	defer func() {
		if recover() == nil {
			t.Error("a nonce can be used twice")
		}
	}()
	s.Seal(nil, bound, 1, nil)
}

func TestSealAllocatesNothing(t *testing.T) {
	s, o := NewSealer(testKey), NewOpener(testKey)
	head, data := make([]byte, 72), make([]byte, 256<<10)
	sealed, plain := make([]byte, 0, len(head)+len(data)+Overhead), make([]byte, 0, len(head)+len(data))
	n := uint32(0)
	allocs := testing.AllocsPerRun(50, func() {
		sealed = s.Seal(sealed[:0], bound, n, head, data)
		if _, err := o.Open(plain[:0], bound, n, sealed); err != nil {
			t.Fatal(err)
		}
		sealed = s.Seal(sealed[:0], bound, n+1, data)
		n += 2
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each record", allocs)
	}
}

// loads are what a second of video is, in records of at most 256 KiB.
var loads = []struct {
	name   string
	frame  int // bytes
	frames int // in a second
}{
	{"1080p30-jpeg", 300_000, 30},
	{"1080p30-raw", 1920 * 1080 * 2, 30},
	{"1GBps", 3840 * 2160 * 3 / 2, 80},
}

const recordPayload = 256<<10 - 32

// eachRecord calls do for the payload of each record of a second; first begins a frame.
func eachRecord(frame []byte, frames int, do func(first bool, payload []byte)) {
	for range frames {
		for at := 0; at < len(frame); at += recordPayload {
			do(at == 0, frame[at:min(len(frame), at+recordPayload)])
		}
	}
}

// BenchmarkSecond measures the CPU time of one second of video: of sealing and opening, beside
// the checksum and the copy which they replace. ms/s is what is taken of one core in
// each second.
func BenchmarkSecond(b *testing.B) {
	table, head := crc32.MakeTable(crc32.Castagnoli), make([]byte, 72)
	for _, l := range loads {
		frame := make([]byte, l.frame)
		out := make([]byte, 0, recordPayload+len(head)+Overhead)
		s, o := NewSealer(testKey), NewOpener(testKey)
		run := func(name string, do func(first bool, payload []byte)) {
			b.Run(l.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(l.frame * l.frames))
				for b.Loop() {
					eachRecord(frame, l.frames, do)
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/s")
			})
		}
		n := uint32(0)
		run("seal", func(first bool, payload []byte) {
			if first {
				out = s.Seal(out[:0], bound, n, head, payload)
			} else {
				out = s.Seal(out[:0], bound, n, payload)
			}
			n++
		})
		// The same records are opened again and again: all of one size cost the same.
		sealed := map[int][]byte{}
		eachRecord(frame, 1, func(_ bool, payload []byte) {
			sealed[len(payload)] = NewSealer(testKey).Seal(nil, bound, 0, payload)
		})
		run("open", func(_ bool, payload []byte) {
			o.next = 0
			if _, err := o.Open(out[:0], bound, 0, sealed[len(payload)]); err != nil {
				b.Fatal(err)
			}
		})
		sum := uint32(0)
		run("checksum", func(_ bool, payload []byte) { sum ^= crc32.Checksum(payload, table) })
		run("checksum+copy", func(_ bool, payload []byte) {
			sum ^= crc32.Checksum(payload, table)
			copy(out[:len(payload)], payload)
		})
	}
}

// BenchmarkControl measures a control record.
func BenchmarkControl(b *testing.B) {
	s, o, payload := NewSealer(testKey), NewOpener(testKey), make([]byte, 100)
	out, plain := make([]byte, 0, 200), make([]byte, 0, 200)
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		out = s.Seal(out[:0], bound, n, payload)
		if _, err := o.Open(plain[:0], bound, n, out); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// FuzzOpen: whatever comes, an Opener returns the record that was sealed or refuses it, and
// goes on.
func FuzzOpen(f *testing.F) {
	for n := range uint32(3) {
		s := NewSealer(testKey)
		s.next = uint64(n)
		f.Add(s.Seal(nil, bound, n, []byte("a frame")), bound, n)
	}
	f.Add([]byte{}, []byte{}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, sealed, header []byte, sequence uint32) {
		o := NewOpener(testKey)
		plain, err := o.Open(nil, header, sequence, sealed)
		if err == nil {
			if string(plain) != "a frame" || !bytes.Equal(header, bound) || sequence > 2 {
				t.Errorf("%q with the header %q and sequence %d is %q", sealed, header, sequence, plain)
			}
		} else if !errors.Is(err, ErrSeal) && !errors.Is(err, ErrReplayed) || plain != nil {
			t.Errorf("got %q, %v", plain, err)
		}
		last := uint32(1<<31 - 1)
		s := NewSealer(testKey)
		if plain, err := o.Open(nil, bound, last, s.Seal(nil, bound, last, []byte("good"))); string(plain) != "good" {
			t.Errorf("then a good one is %q, %v", plain, err)
		}
	})
}
