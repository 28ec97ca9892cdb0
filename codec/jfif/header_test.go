package jfif_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

const fixtures = "../../fixtures/jpeg"

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, name+".jpg"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFixtures keeps the sample files as the table has them.
func TestFixtures(t *testing.T) {
	for _, s := range jpegsamples.All {
		want := s.Make(readFixture(t, s.Base))
		path := filepath.Join(fixtures, s.Name+".jpg")
		if *golden.Update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table has (%v); make it with -update", path, err)
		}
	}
}

func TestParseHeader(t *testing.T) {
	for _, tt := range []struct {
		name string
		w, h int
		sub  jfif.Subsampling
		r    capture.Range
	}{
		{"good-444", 160, 120, jfif.S444, capture.Full},
		{"good-422", 160, 120, jfif.S422, capture.Full},
		{"good-420", 160, 120, jfif.S420, capture.Full},
		{"good-440", 160, 120, jfif.S440, capture.Full},
		{"good-411", 160, 120, jfif.S411, capture.Full},
		{"good-grey", 160, 120, jfif.Grey, capture.Full},
		{"odd-420", 161, 121, jfif.S420, capture.Full},
		{"good-422-limited", 160, 120, jfif.S422, capture.Limited},
		{"good-420-progressive", 160, 120, jfif.S420, capture.Full},
		{"good-422-comment", 160, 120, jfif.S422, capture.Full},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := readFixture(t, tt.name)
			h, err := jfif.ParseHeader(data)
			if err != nil {
				t.Fatal(err)
			}
			if h.Width != tt.w || h.Height != tt.h || h.Subsampling != tt.sub {
				t.Errorf("header is %+v", h)
			}
			if !h.Huffman || !h.Complete || h.Start != 0 || h.End != len(data) || data[h.SOS+1] != jfif.SOS {
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
	for _, s := range jpegsamples.All {
		if s.Cause < jfif.NoSOI || s.Cause == jfif.WrongSize || s.Cause == jpegsamples.None {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			_, err := jfif.ParseHeader(readFixture(t, s.Name))
			if !errors.Is(err, s.Cause) || !errors.Is(err, jfif.ErrDamaged) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestParseHeaderPrefixes: whatever was cut off, what is left is parsed or
// refused with a cause.
func TestParseHeaderPrefixes(t *testing.T) {
	data := readFixture(t, "good-422-restart")
	whole, _ := jfif.ParseHeader(data)
	for n := range data {
		h, err := jfif.ParseHeader(data[:n:n])
		var cause jfif.Cause
		switch {
		case n <= whole.Scan && !errors.As(err, &cause):
			t.Fatalf("%d bytes: error is %v", n, err)
		case n > whole.Scan && (err != nil || h.Complete || h.End != n):
			t.Fatalf("%d bytes: header is %+v, error is %v", n, h, err)
		}
	}
}
