package mjpeg

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/tbcam/tbcam/fixtures/jpegbomb"
)

// photo returns a JPEG with noise in it, so that its scan holds every byte.
func photo(t testing.TB, size int, seed uint64) []byte {
	t.Helper()
	noise := rand.New(rand.NewPCG(seed, 1))
	img := image.NewGray(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.SetGray(x, y, color.Gray{Y: byte(noise.Uint32())})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func photos(t testing.TB) [][]byte {
	var all [][]byte
	for i, size := range []int{8, 64, 65, 200, 8, 129} {
		all = append(all, photo(t, size, uint64(i)))
	}
	return all
}

// pixels decodes, which does not see padding.
func pixels(t *testing.T, data []byte) []byte {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.Gray).Pix
}

// into writes buffers to w.
func into(w io.Writer) func([][]byte) error {
	return func(bufs [][]byte) error {
		_, err := w.Write(bytes.Join(bufs, nil))
		return err
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var stream bytes.Buffer
	w := NewWriter(into(&stream))
	for _, p := range photos(t) {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if stream.Len()%blockSize != 0 {
			t.Errorf("after a picture the stream has %d bytes", stream.Len())
		}
	}
	for name, src := range map[string]io.Reader{
		"at once":      bytes.NewReader(stream.Bytes()),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(stream.Bytes())),
	} {
		r := NewReader(src, 1<<20)
		for i, p := range photos(t) {
			got, err := r.Next()
			if err != nil {
				t.Fatalf("%s, picture %d: %v", name, i, err)
			}
			if !bytes.Equal(pixels(t, got), pixels(t, p)) {
				t.Errorf("%s: picture %d is another", name, i)
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end %v", name, err)
		}
	}
}

// TestNoByteTooLate: a picture comes with its last byte, and not with the next one.
func TestNoByteTooLate(t *testing.T) {
	p := photo(t, 64, 1)
	src, dst := io.Pipe()
	r := NewReader(src, 1<<20)
	got := make(chan []byte)
	go func() {
		picture, _ := r.Next()
		got <- bytes.Clone(picture)
	}()
	if _, err := dst.Write(p); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, p) {
		t.Error("another picture came")
	}
	dst.Close()
}

func TestGarbageIsPassedOver(t *testing.T) {
	p, q := photo(t, 64, 1), photo(t, 64, 2)
	for name, stream := range map[string][]byte{
		"before":          append([]byte("garbage\xff"), append(append([]byte{}, p...), q...)...),
		"between":         append(append(append([]byte{}, p...), "HTTP/1.0 200 OK\r\n\xff\x00\xff"...), q...),
		"cut in the scan": append(append(append([]byte{}, p...), q[:len(q)-100]...), q...),
		"cut in a header": append(append(append([]byte{}, p...), q[:30]...), append(append([]byte{}, make([]byte, 1<<16)...), q...)...),
	} {
		r := NewReader(bytes.NewReader(stream), 1<<20)
		for i, want := range [][]byte{p, q} {
			if got, err := r.Next(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: picture %d is %d bytes, %v; want %d", name, i, len(got), err, len(want))
			}
		}
	}
}

func TestLimit(t *testing.T) {
	large, small := photo(t, 400, 1), photo(t, 16, 2)
	r := NewReader(bytes.NewReader(append(append([]byte{}, large...), small...)), 50_000)
	if _, err := r.Next(); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a picture of %d bytes: %v", len(large), err)
	}
	for {
		got, err := r.Next()
		if errors.Is(err, ErrTooLarge) {
			continue
		}
		if err != nil || !bytes.Equal(got, small) {
			t.Errorf("then %d bytes, %v", len(got), err)
		}
		return
	}
}

func TestNotJPEG(t *testing.T) {
	if err := NewWriter(into(io.Discard)).Write([]byte("GIF89a")); !errors.Is(err, ErrNotJPEG) {
		t.Errorf("it gives %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(photo(f, 16, 1))
	f.Add([]byte{0xFF, soi, 0xFF, sos, 0, 2, 0xFF})
	f.Add([]byte{0xFF, soi, 0xFF, com, 0xFF, 0xFF, 0xFF, eoi})
	for _, name := range []string{"good-422-restart-padded", "stale-tail", "second-image", "good-420-progressive", "good-422-comment"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "fixtures", "jpeg", name+".jpg"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(data, data...))
	}
	f.Add(append(jpegbomb.Progressive(40, 30, 5), jpegbomb.Flat(8, 8, 300_000)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(data)), 1<<12)
		for {
			picture, err := r.Next()
			if errors.Is(err, ErrTooLarge) {
				continue
			}
			if err != nil {
				return
			}
			if len(picture) < 4 || picture[1] != soi || picture[len(picture)-1] != eoi {
				t.Errorf("%x is no picture", picture)
			}
		}
	})
}

func TestOffset(t *testing.T) {
	picture := []byte{0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 7, 7, 0xFF, 0xD9}
	stream := bytes.Join([][]byte{picture, {1, 2, 3}, picture, picture[:7]}, nil)
	r := NewReader(bytes.NewReader(stream), 1<<10)
	for _, want := range []int64{10, 23} {
		if _, err := r.Next(); err != nil || r.Offset() != want {
			t.Errorf("a picture ends at %d (%v), want %d", r.Offset(), err, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) || r.Offset() != 23 {
		t.Errorf("the unfinished picture begins at %d (%v), want 23", r.Offset(), err)
	}
}
