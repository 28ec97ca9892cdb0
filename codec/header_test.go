package codec

import (
	"errors"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func TestParseHeader(t *testing.T) {
	for _, tt := range []struct {
		name       string
		w, h       int
		components int
		subX, subY int
		r          capture.Range
	}{
		{"good-444", 160, 120, 3, 1, 1, capture.Full},
		{"good-422", 160, 120, 3, 2, 1, capture.Full},
		{"good-420", 160, 120, 3, 2, 2, capture.Full},
		{"good-440", 160, 120, 3, 1, 2, capture.Full},
		{"good-411", 160, 120, 3, 4, 1, capture.Full},
		{"good-grey", 160, 120, 1, 1, 1, capture.Full},
		{"odd-420", 161, 121, 3, 2, 2, capture.Full},
		{"good-422-limited", 160, 120, 3, 2, 1, capture.Limited},
		{"good-420-progressive", 160, 120, 3, 2, 2, capture.Full},
		{"good-422-comment", 160, 120, 3, 2, 1, capture.Full},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := readFixture(t, tt.name)
			h, err := ParseHeader(data)
			if err != nil {
				t.Fatal(err)
			}
			if h.Width != tt.w || h.Height != tt.h || h.Components != tt.components || h.SubX != tt.subX || h.SubY != tt.subY {
				t.Errorf("header is %+v", h)
			}
			if !h.Huffman || !h.Complete || h.Start != 0 || h.End != len(data) || data[h.SOS+1] != markerSOS {
				t.Errorf("marks are %+v", h)
			}
			want := capture.Format{Pixel: capture.MJPEG, Width: tt.w, Height: tt.h, Range: tt.r}
			if h.Format() != want {
				t.Errorf("format is %+v", h.Format())
			}
		})
	}
}

func TestParseHeaderCauses(t *testing.T) {
	for _, s := range samples {
		if s.cause < NoSOI || s.cause == WrongSize || s.cause == none {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			_, err := ParseHeader(readFixture(t, s.name))
			if !errors.Is(err, s.cause) || !errors.Is(err, ErrDamaged) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestParseHeaderPrefixes: whatever was cut off, what is left is parsed or
// refused with a cause.
func TestParseHeaderPrefixes(t *testing.T) {
	data := readFixture(t, "good-422-restart")
	whole, _ := ParseHeader(data)
	for n := range data {
		h, err := ParseHeader(data[:n:n])
		var cause Cause
		switch {
		case n <= whole.Scan && !errors.As(err, &cause):
			t.Fatalf("%d bytes: error is %v", n, err)
		case n > whole.Scan && (err != nil || h.Complete || h.End != n):
			t.Fatalf("%d bytes: header is %+v, error is %v", n, h, err)
		}
	}
}
