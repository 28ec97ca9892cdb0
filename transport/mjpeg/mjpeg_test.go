package mjpeg

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"testing"
	"testing/iotest"

	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

func photos() [][]byte {
	var all [][]byte
	for i, size := range []int{8, 64, 65, 200, 8, 129} {
		all = append(all, jpegsamples.Noise(size, uint64(i)))
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
	for _, p := range photos() {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if stream.Len()%blockSize != 0 {
			t.Errorf("after a frame the stream has %d bytes", stream.Len())
		}
	}
	for name, src := range map[string]io.Reader{
		"at once":      bytes.NewReader(stream.Bytes()),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(stream.Bytes())),
	} {
		r := jfif.NewSplitter(src, 1<<20)
		for i, p := range photos() {
			got, err := r.Next()
			if err != nil {
				t.Fatalf("%s, frame %d: %v", name, i, err)
			}
			if !bytes.Equal(pixels(t, got), pixels(t, p)) {
				t.Errorf("%s: frame %d is another", name, i)
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end %v", name, err)
		}
	}
}

func TestNotJPEG(t *testing.T) {
	if err := NewWriter(into(io.Discard)).Write([]byte("GIF89a")); !errors.Is(err, ErrNotJPEG) {
		t.Errorf("it gives %v", err)
	}
}
