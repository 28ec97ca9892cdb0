package codec

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbcam/tbcam/fixtures/golden"
)

// none is the cause of samples that need no repair.
const none = NumCauses

// samples are JPEGs of which each is made from a good one. The repaired ones
// show the same picture as that.
var samples = []struct {
	name  string
	base  string
	cause Cause
	make  func(good []byte) []byte
}{
	{"good-422-avi1", "good-422", none, func(b []byte) []byte {
		return replaceSegment(b, markerAPP0, []byte("\xFF\xE0\x00\x10AVI1\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	}},
	{"good-422-fill", "good-422", none, func(b []byte) []byte {
		return insertBefore(b, markerSOF0, []byte{0xFF, 0xFF, 0xFF})
	}},
	{"good-422-comment", "good-422", none, func(b []byte) []byte {
		return insertBefore(b, markerSOF0, []byte("\xFF\xFE\x00\x09\xFF\xD9\xFF\xDA 1!"))
	}},
	{"good-422-jfif9", "good-422", none, func(b []byte) []byte {
		return slices.Replace(slices.Clone(b), 11, 12, 9)
	}},
	{"good-422-padded-scan", "good-422", none, func(b []byte) []byte {
		return slices.Insert(slices.Clone(b), len(b)-2, make([]byte, 30)...)
	}},
	{"good-422-restart-padded", "good-422-restart", none, func(b []byte) []byte {
		return beforeRestarts(b, []byte{0})
	}},
	{"good-422-adobe2", "good-422", none, func(b []byte) []byte {
		return replaceSegment(b, markerAPP0, []byte("\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x02"))
	}},
	{"good-422-exif6", "good-422", none, func(b []byte) []byte {
		return insertBefore(b, markerAPP0, []byte("\xFF\xE1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"))
	}},
	{"good-422-scan-parameters", "good-422", none, func(b []byte) []byte {
		at := segmentOf(b, markerSOS).end - 2
		return slices.Replace(slices.Clone(b), at, at+1, 0)
	}},

	{"junk-before-soi", "good-422", JunkBefore, func(b []byte) []byte {
		return append([]byte("\x00\xFF\xD8\x12junk\xFF"), b...)
	}},
	{"old-header-before-soi", "good-422", JunkBefore, func(b []byte) []byte {
		return append(slices.Clone(b[:20]), b...)
	}},
	{"junk-between-markers", "good-422", JunkBetween, func(b []byte) []byte {
		return insertBefore(b, markerSOF0, []byte("\x00\xFF\x00junk"))
	}},
	{"no-dht", "good-422", NoHuffman, withoutDHT},
	{"no-dht-420", "good-420", NoHuffman, withoutDHT},
	{"no-dht-restart", "good-422-restart", NoHuffman, withoutDHT},
	{"no-eoi", "good-422", NoEOI, func(b []byte) []byte { return b[:len(b)-2] }},
	{"half-eoi", "good-422", NoEOI, func(b []byte) []byte { return b[:len(b)-1] }},
	{"padded", "good-422", JunkAfter, func(b []byte) []byte {
		return append(slices.Clone(b), make([]byte, 100)...)
	}},
	{"old-rest-after-eoi", "good-422", JunkAfter, func(b []byte) []byte {
		return append(slices.Clone(b), b[len(b)/2:len(b)-2]...)
	}},
	{"stale-tail", "good-422", JunkAfter, func(b []byte) []byte {
		return append(slices.Clone(b), b[len(b)/2:]...)
	}},
	{"second-image", "good-422", JunkAfter, func(b []byte) []byte {
		return append(slices.Clone(b), b...)
	}},

	{"empty", "good-422", NoSOI, func([]byte) []byte { return nil }},
	{"no-soi", "good-422", NoSOI, func(b []byte) []byte { return b[2:] }},
	{"no-sof", "good-422", NoSOF, func(b []byte) []byte { return replaceSegment(b, markerSOF0, nil) }},
	{"no-sos", "good-422", NoSOS, func(b []byte) []byte {
		return append(slices.Clone(b[:segmentOf(b, markerSOS).start]), eoi...)
	}},
	{"truncated-header", "good-422", Truncated, func(b []byte) []byte { return b[:segmentOf(b, markerSOF0).end-3] }},
	{"truncated-before-scan", "good-422", Truncated, func(b []byte) []byte { return b[:segmentOf(b, markerSOS).end] }},
	{"malformed-length", "good-422", Malformed, func(b []byte) []byte {
		return insertBefore(b, markerSOF0, []byte{0xFF, markerCOM, 0, 1})
	}},
	{"malformed-sof", "good-422", Malformed, func(b []byte) []byte {
		return slices.Replace(slices.Clone(b), segmentOf(b, markerSOF0).payload+5, segmentOf(b, markerSOF0).payload+6, 4)
	}},
	{"malformed-two-sof", "good-422", Malformed, func(b []byte) []byte {
		s := segmentOf(b, markerSOF0)
		return insertBefore(b, markerSOS, b[s.start:s.end])
	}},
	{"unsupported-12-bit", "good-422", Unsupported, inSOF(0, 12)},
	{"unsupported-height-later", "good-422", Unsupported, func(b []byte) []byte { return inSOF(1, 0)(inSOF(2, 0)(b)) }},
	{"unsupported-sampling", "good-422", Unsupported, inSOF(7, 0x31)},
	{"unsupported-adobe0", "good-422", Unsupported, func(b []byte) []byte {
		return replaceSegment(b, markerAPP0, []byte("\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00"))
	}},
	{"too-wide", "good-422", TooLarge, inSOF(3, 0x20)},
	{"too-many-pixels", "good-420", TooLarge, func(b []byte) []byte { return inSOF(1, 0x1F)(inSOF(3, 0x1F)(b)) }},
	{"too-many-scans-pixels", "good-420-progressive", TooLarge, func(b []byte) []byte {
		at := segmentOf(b, markerSOF2).payload + 1
		return slices.Replace(slices.Clone(b), at, at+4, 0x16, 0, 0x16, 0)
	}},
	{"wrong-size", "good-422", WrongSize, inSOF(2, 121)},
}

// segmentOf returns the first segment with a marker before the first scan.
func segmentOf(data []byte, marker byte) segment {
	for at := 2; ; {
		s, err := nextSegment(data, at)
		if err != nil || s.marker == marker {
			return s
		}
		at = s.end
	}
}

func replaceSegment(data []byte, marker byte, with []byte) []byte {
	s := segmentOf(data, marker)
	return slices.Concat(data[:s.start], with, data[s.end:])
}

// beforeRestarts inserts padding before each restart marker.
func beforeRestarts(data, padding []byte) []byte {
	padded := data[:segmentOf(data, markerSOS).end:segmentOf(data, markerSOS).end]
	for at := len(padded); at < len(data); at++ {
		if data[at] == 0xFF && data[at+1] >= markerRST0 && data[at+1] < markerSOI {
			padded = append(padded, padding...)
		}
		padded = append(padded, data[at])
	}
	return padded
}

func insertBefore(data []byte, marker byte, what []byte) []byte {
	return slices.Insert(slices.Clone(data), segmentOf(data, marker).start, what...)
}

func withoutDHT(data []byte) []byte {
	for s := segmentOf(data, markerDHT); s.marker == markerDHT; s = segmentOf(data, markerDHT) {
		data = replaceSegment(data, markerDHT, nil)
	}
	return data
}

// inSOF returns a function that changes one byte of the frame header's payload.
func inSOF(offset int, to byte) func([]byte) []byte {
	return func(data []byte) []byte {
		at := segmentOf(data, markerSOF0).payload + offset
		return slices.Replace(slices.Clone(data), at, at+1, to)
	}
}

// TestFixtures keeps the sample files as the table says.
func TestFixtures(t *testing.T) {
	for _, s := range samples {
		want := s.make(readFixture(t, s.base))
		path := filepath.Join(fixtures, s.name+".jpg")
		if *golden.Update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table says (%v); make it with -update", path, err)
		}
	}
}
