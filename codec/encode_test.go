package codec

import (
	"bytes"
	"errors"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

func TestChoose(t *testing.T) {
	raw, compressed := formatOf(capture.YUYV, 2, 2), formatOf(capture.MJPEG, 2, 2)
	for _, tt := range []struct {
		kind   Kind
		in     capture.Format
		want   Kind
		remedy string
	}{
		{Auto, raw, JPEG, ""},
		{Auto, compressed, Copy, ""},
		{JPEG, raw, JPEG, ""},
		{JPEG, compressed, Copy, ""},
		{Raw, raw, Raw, ""},
		{Copy, compressed, Copy, ""},
		{Copy, raw, 0, "codec jpeg"},
		{Raw, compressed, 0, "codec copy"},
	} {
		got, err := Choose(tt.kind, tt.in)
		if got != tt.want || (err != nil) != (tt.remedy != "") || err != nil && !strings.Contains(err.Error(), tt.remedy) {
			t.Errorf("Choose(%v, %v) is %v, %v", tt.kind, tt.in, got, err)
		}
	}
}

func TestParseKind(t *testing.T) {
	for _, k := range []Kind{Auto, Copy, JPEG, Raw} {
		if got, err := ParseKind(k.String()); got != k || err != nil {
			t.Errorf("ParseKind(%q) is %v, %v", k, got, err)
		}
	}
	if _, err := ParseKind("h264"); err == nil {
		t.Error("h264 is accepted")
	}
}

func TestNewEncoderRefuses(t *testing.T) {
	for _, tt := range []struct {
		kind    Kind
		quality int
	}{{Auto, 80}, {JPEG, 0}, {JPEG, 101}} {
		if _, err := NewEncoder(tt.kind, tt.quality, new(capture.Pool)); err == nil {
			t.Errorf("%v of quality %d is accepted", tt.kind, tt.quality)
		}
	}
}

// TestEncode: every raw format and odd sizes survive encoding and decoding, in
// the subsampling and range they had, and nothing outside the frame is touched.
func TestEncode(t *testing.T) {
	for _, pixel := range distinct() {
		for _, size := range [][2]int{{320, 240}, {321, 241}, {318, 1}, {1, 1}, {2, 3}, {17, 33}} {
			for _, r := range []capture.Range{capture.Limited, capture.Full} {
				format := formatOf(pixel, size[0], size[1])
				format.Range = r
				testEncode(t, format)
			}
		}
	}
}

func testEncode(t *testing.T, format capture.Format) {
	t.Helper()
	pool := newPool(t)
	e := newEncoder(t, JPEG, 90, pool)
	raw := photo(format)
	f := frameOf(pool, format, raw)
	f.Data = append(guarded(t, len(raw))[:0], raw...)
	g, err := e.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if g.Format != e.Format(format) || g.Sequence != 7 || g.At[capture.Encoded].IsZero() {
		t.Errorf("frame is %+v", g)
	}
	if _, err := jpeg.Decode(bytes.NewReader(g.Data)); err != nil {
		t.Errorf("%v: image/jpeg: %v", format, err)
	}
	if h, err := jfif.ParseHeader(g.Data); err != nil || h.Format() != g.Format {
		t.Errorf("%v: header is %+v, error %v", format, h, err)
	}
	back, err := newDecoder(t, pool).Decode(g)
	if err != nil {
		t.Fatalf("%v: %v", format, err)
	}
	defer back.Release()
	want := PlanarFormat(format)
	if back.Format != want {
		t.Fatalf("%v came back as %v", format, back.Format)
	}
	if db := psnr(back.Data, photoAs(t, want, format, raw)); db < 35 {
		t.Errorf("%v %v: PSNR is %.1f dB", format, format.Range, db)
	}
}

// photoAs returns a raw frame in its planar format, rearranged by plain code.
func photoAs(t *testing.T, to, from capture.Format, raw []byte) []byte {
	if from.Pixel.Info().IsRGB() {
		return photo(to)
	}
	data := make([]byte, to.Size())
	for y := range from.Height {
		for x := range from.Width {
			put(to, data, x, y, get(from, raw, x, y))
		}
	}
	return data
}

// TestLimitedComment: FFmpeg takes the range for what it is, and JFIF stays first.
func TestLimitedComment(t *testing.T) {
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal("ffprobe is missing; install it with `make deps`")
	}
	for r, want := range map[capture.Range]string{capture.Limited: "tv", capture.Full: "pc"} {
		pool := newPool(t)
		format := formatOf(capture.YUYV, 64, 48)
		format.Range = r
		g, err := newEncoder(t, JPEG, 80, pool).Encode(frameOf(pool, format, photo(format)))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.jpg")
		if err := os.WriteFile(path, g.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		g.Release()
		out, err := exec.Command(probe, "-v", "error", "-show_entries", "stream=pix_fmt,color_range", "-of", "csv=p=0", path).Output()
		if err != nil || !strings.Contains(string(out), ","+want) || !strings.Contains(string(out), "422p") {
			t.Errorf("range %v: ffprobe reports %q, error %v", r, out, err)
		}
		if data, _ := os.ReadFile(path); data[3] != jfif.APP0 {
			t.Error("the JFIF segment is not the first")
		}
	}
}

func TestEncodeRaw(t *testing.T) {
	pool := newPool(t)
	e := newEncoder(t, Raw, 0, pool)
	format := formatOf(capture.UYVY, 6, 4)
	f := frameOf(pool, format, photo(format))
	g, err := e.Encode(f)
	if err != nil || g != f || e.Format(format) != format || !bytes.Equal(g.Data, photo(format)) || g.At[capture.Encoded].IsZero() {
		t.Fatalf("got %v, error %v", g, err)
	}
	g.Release()
}

func TestEncodeWrongSize(t *testing.T) {
	for _, kind := range []Kind{JPEG, Raw} {
		pool := newPool(t)
		e := newEncoder(t, kind, 80, pool)
		format := formatOf(capture.YUYV, 6, 4)
		_, err := e.Encode(frameOf(pool, format, photo(format)[1:]))
		if !errors.Is(err, jfif.WrongSize) || e.Counts() != (jfif.Counts{jfif.WrongSize: 1}) {
			t.Errorf("%v: error is %v, counts are %v", kind, err, e.Counts())
		}
	}
}

// TestEncodeRefuses: what has no planes is no frame to divide into strips.
func TestEncodeRefuses(t *testing.T) {
	for _, format := range []capture.Format{
		formatOf(capture.MJPEG, 1920, 1080), formatOf(capture.PixelFormat(1), 1920, 1080),
		formatOf(capture.YUYV, -1920, -1080), formatOf(capture.YUYV, 0, 1080),
	} {
		pool := newPool(t)
		if g, err := newEncoder(t, JPEG, 80, pool).Encode(frameOf(pool, format, make([]byte, 100))); err == nil || g != nil {
			t.Errorf("%v: no error", format)
		}
	}
}

// TestEncodePads: the blocks that reach beyond a frame repeat its last samples, which
// costs the fewest bytes and leaves no ringing at the edge. A header of whole blocks
// shows them.
func TestEncodePads(t *testing.T) {
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.UYVY, capture.NV12, capture.YUV420, capture.YUV422P, capture.YUV444, capture.RGB24, capture.GREY} {
		s := newStripCoders(t)
		format := formatOf(pixel, 33, 17)
		file := s.encodeFile(t, format, photo(format), division{format.Height, 1})
		sub := jfif.SubsamplingOf(PlanarFormat(format).Pixel)
		subX, subY := sub.Factors()
		whole := func(n, unit int) byte { return byte((n + unit - 1) / unit * unit) }
		p := s.decodePlanes(t, jpegsamples.InSOF(2, whole(17, 8*subY))(jpegsamples.InSOF(4, whole(33, 8*subX))(file)))
		for i := range sub.Components() {
			w, h := 33, 17
			if i > 0 {
				w, h = sub.Chroma(w, h)
			}
			p[i].width, p[i].height = (w+7)/8*8, (h+7)/8*8 // libjpeg makes up blocks beyond these
			checkEdges(t, pixel, p[i], w, h)
		}
	}
}

// checkEdges compares what is right of, and below, w x h samples with the last ones.
func checkEdges(t *testing.T, pixel capture.PixelFormat, p plane, w, h int) {
	t.Helper()
	const near = 20 // quantisation
	for y := range p.height {
		for x := range p.width {
			got, edge := int(p.data[y*p.stride+x]), int(p.data[min(y, h-1)*p.stride+min(x, w-1)])
			if got-edge > near || edge-got > near {
				t.Fatalf("%v: sample (%d, %d) is %d beside %d", pixel, x, y, got, edge)
			}
		}
	}
}

// TestCompressNeedsRoom: libjpeg writes nothing behind the memory that it has, and
// the next frame is encoded as any.
func TestCompressNeedsRoom(t *testing.T) {
	var c compressor
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	format := formatOf(capture.NV12, 161, 121)
	rows := rowsOf(frameOf(new(capture.Pool), format, photo(format)))
	size, err := c.compress(make([]byte, 1<<20), rows, 80)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < size; n += 97 {
		if _, err := c.compress(guarded(t, n), rows, 80); err == nil {
			t.Fatalf("%d bytes were room for %d", n, size)
		}
	}
	if _, err := c.compress(guarded(t, size+1), rows, 80); err != nil {
		t.Error(err)
	}
}

func TestEncodeAfterClose(t *testing.T) {
	pool := newPool(t)
	e := newEncoder(t, JPEG, 80, pool)
	e.Close()
	e.Close()
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.RGB24} {
		format := formatOf(pixel, 6, 4)
		if _, err := e.Encode(frameOf(pool, format, photo(format))); err == nil || errors.Is(err, jfif.ErrDamaged) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestEncodeAllocates(t *testing.T) {
	for _, pixel := range distinct() {
		pool := newPool(t)
		e := newEncoder(t, JPEG, 80, pool)
		format := formatOf(pixel, 161, 121)
		data := photo(format)
		n := testing.AllocsPerRun(100, func() {
			g, err := e.Encode(frameOf(pool, format, data))
			if err != nil {
				t.Fatal(err)
			}
			g.Release()
		})
		if n != 0 {
			t.Errorf("%v: %v allocations per frame", pixel, n)
		}
	}
}
