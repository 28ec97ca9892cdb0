package jfif_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegbomb"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

// TestNoByteTooLate: a frame comes with its last byte, and not with the next one.
func TestNoByteTooLate(t *testing.T) {
	p := jpegsamples.Noise(64, 1)
	src, dst := io.Pipe()
	r := jfif.NewSplitter(src, 1<<20)
	got := make(chan []byte)
	go func() {
		frame, _ := r.Next()
		got <- bytes.Clone(frame)
	}()
	if _, err := dst.Write(p); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, p) {
		t.Error("another frame came")
	}
	dst.Close()
}

func TestGarbageIsPassedOver(t *testing.T) {
	p, q := jpegsamples.Noise(64, 1), jpegsamples.Noise(64, 2)
	for name, stream := range map[string][]byte{
		"before":          append([]byte("garbage\xff"), append(append([]byte{}, p...), q...)...),
		"between":         append(append(append([]byte{}, p...), "HTTP/1.0 200 OK\r\n\xff\x00\xff"...), q...),
		"cut in the scan": append(append(append([]byte{}, p...), q[:len(q)-100]...), q...),
		"cut in a header": append(append(append([]byte{}, p...), q[:30]...), append(append([]byte{}, make([]byte, 1<<16)...), q...)...),
	} {
		r := jfif.NewSplitter(bytes.NewReader(stream), 1<<20)
		for i, want := range [][]byte{p, q} {
			if got, err := r.Next(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: frame %d is %d bytes, %v; want %d", name, i, len(got), err, len(want))
			}
		}
	}
}

func TestLimit(t *testing.T) {
	large, small := jpegsamples.Noise(400, 1), jpegsamples.Noise(16, 2)
	r := jfif.NewSplitter(bytes.NewReader(append(append([]byte{}, large...), small...)), 50_000)
	if _, err := r.Next(); !errors.Is(err, jfif.ErrTooLong) {
		t.Fatalf("a frame of %d bytes: %v", len(large), err)
	}
	for {
		got, err := r.Next()
		if errors.Is(err, jfif.ErrTooLong) {
			continue
		}
		if err != nil || !bytes.Equal(got, small) {
			t.Errorf("then %d bytes, %v", len(got), err)
		}
		return
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add(jpegsamples.Noise(16, 1))
	f.Add([]byte{0xFF, jfif.SOI, 0xFF, jfif.SOS, 0, 2, 0xFF})
	f.Add([]byte{0xFF, jfif.SOI, 0xFF, jfif.COM, 0xFF, 0xFF, 0xFF, jfif.EOI})
	for _, name := range []string{"good-422-restart-padded", "stale-tail", "second-image", "good-420-progressive", "good-422-comment"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "fixtures", "jpeg", name+".jpg"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(data, data...))
	}
	f.Add(append(jpegbomb.Progressive(40, 30, 5), jpegbomb.Flat(8, 8, 300_000)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := jfif.NewSplitter(iotest.HalfReader(bytes.NewReader(data)), 1<<12)
		for {
			frame, err := r.Next()
			if errors.Is(err, jfif.ErrTooLong) {
				continue
			}
			if err != nil {
				return
			}
			if len(frame) < 4 || frame[1] != jfif.SOI || frame[len(frame)-1] != jfif.EOI {
				t.Errorf("%x is no frame", frame)
			}
		}
	})
}

func TestOffset(t *testing.T) {
	frame := []byte{0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 7, 7, 0xFF, 0xD9}
	stream := bytes.Join([][]byte{frame, {1, 2, 3}, frame, frame[:7]}, nil)
	r := jfif.NewSplitter(bytes.NewReader(stream), 1<<10)
	for _, want := range []int64{10, 23} {
		if _, err := r.Next(); err != nil || r.Offset() != want {
			t.Errorf("a frame ends at %d (%v), want %d", r.Offset(), err, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) || r.Offset() != 23 {
		t.Errorf("the unfinished frame begins at %d (%v), want 23", r.Offset(), err)
	}
}
