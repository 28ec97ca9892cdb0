package codec

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegbomb"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

// TestDecode compares with the decoder of Go's library.
func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pixel capture.PixelFormat
		exact bool // in subsampling: chroma can be compared
	}{
		{"good-444", capture.YUV444, true},
		{"good-422", capture.YUV422P, true},
		{"good-420", capture.YUV420, true},
		{"good-grey", capture.GREY, true},
		{"good-440", capture.YUV444, false},
		{"good-411", capture.YUV422P, false},
		{"odd-444", capture.YUV444, true},
		{"odd-422", capture.YUV422P, true},
		{"odd-420", capture.YUV420, true},
		{"odd-grey", capture.GREY, true},
		{"odd-440", capture.YUV444, false},
		{"odd-411", capture.YUV422P, false},
		{"good-422-restart", capture.YUV422P, true},
		{"good-422-optimized", capture.YUV422P, true},
		{"good-422-avi1", capture.YUV422P, true},
		{"good-422-jfif9", capture.YUV422P, true},
		{"good-422-adobe2", capture.YUV422P, true},
		{"good-422-exif6", capture.YUV422P, true},
		{"good-422-scan-parameters", capture.YUV422P, true},
		{"good-420-progressive", capture.YUV420, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := newPool(t)
			data := readFixture(t, tt.name)
			h, err := jfif.ParseHeader(data)
			if err != nil {
				t.Fatal(err)
			}
			format := h.Format()
			format.Matrix = capture.BT709
			f := frameOf(pool, format, data)
			f.Data = append(guarded(t, len(data))[:0], data...)
			g, err := newDecoder(t, pool).Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Release()
			want := format
			want.Pixel = tt.pixel
			if g.Format != want || g.Sequence != 7 || g.At[capture.Decoded].IsZero() || len(g.Data) != want.Size() {
				t.Fatalf("frame is %v, sequence %d, %d bytes", g.Format, g.Sequence, len(g.Data))
			}
			compareWithGo(t, planesOf(g.Format, g.Data), data, tt.exact)
		})
	}
}

func compareWithGo(t *testing.T, p frameView, data []byte, exact bool) {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	switch m := m.(type) {
	case *image.Gray:
		compareSamples(t, p[0], m.Pix, m.Stride)
	case *image.YCbCr:
		compareSamples(t, p[0], m.Y, m.YStride)
		if exact {
			compareSamples(t, p[1], m.Cb, m.CStride)
			compareSamples(t, p[2], m.Cr, m.CStride)
			return
		}
		// The smooth parts stay; at edges interpolation differs from repetition.
		subX, subY := 1, 2 // of 4:4:0 to 4:4:4
		if m.SubsampleRatio == image.YCbCrSubsampleRatio411 {
			subX, subY = 2, 1 // to 4:2:2
		}
		compareOnAverage(t, p[1], m.Cb, m.CStride, subX, subY)
		compareOnAverage(t, p[2], m.Cr, m.CStride, subX, subY)
	}
}

// compareSamples allows for how inverse DCTs round.
func compareSamples(t *testing.T, p plane, want []byte, stride int) {
	t.Helper()
	for y := range p.height {
		for x := range p.width {
			a, b := int(p.data[y*p.stride+x]), int(want[y*stride+x])
			if a-b > 2 || b-a > 2 {
				t.Fatalf("sample (%d, %d) is %d instead of %d", x, y, a, b)
			}
		}
	}
}

func compareOnAverage(t *testing.T, p plane, want []byte, stride, subX, subY int) {
	t.Helper()
	sum := 0
	for y := range p.height {
		for x := range p.width {
			a, b := int(p.data[y*p.stride+x]), int(want[y/subY*stride+x/subX])
			sum += max(a-b, b-a)
		}
	}
	if mean := float64(sum) / float64(p.width*p.height); mean > 6 {
		t.Errorf("samples differ by %.1f on average", mean)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause jfif.Cause
	}{
		{"truncated-header", jfif.Truncated},
		{"no-eoi", jfif.BadData},
		{"wrong-size", jfif.WrongSize},
		{"unsupported-arithmetic", jfif.Unsupported},
		{"unsupported-rgb", jfif.Unsupported},
		{"unsupported-12-bit", jfif.Unsupported},
		{"unsupported-adobe0", jfif.Unsupported},
		{"too-wide", jfif.TooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := newPool(t)
			g, err := newDecoder(t, pool).Decode(frameOf(pool, sampleFormat, readFixture(t, tt.name)))
			if g != nil || !errors.Is(err, tt.cause) || !errors.Is(err, jfif.ErrDamaged) {
				t.Errorf("got %v, error %v", g, err)
			}
		})
	}
}

// TestDecodeBadData: what only the decoder finds.
func TestDecodeBadData(t *testing.T) {
	good := readFixture(t, "good-422-restart")
	h, _ := jfif.ParseHeader(good)
	for name, data := range map[string][]byte{
		"hole":                             append(bytes.Clone(good[:h.Scan+500]), good[h.Scan+1500:]...),
		"no table":                         jpegsamples.ReplaceSegment(good, jfif.DQT, nil),
		"bogus table":                      jpegsamples.InsertBefore(good, jfif.SOS, []byte{0xFF, jfif.DHT, 0, 19, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		"bogus restart":                    bytes.ReplaceAll(good, []byte{0xFF, 0xD3}, []byte{0xFF, 0xD7}),
		"no restart":                       bytes.ReplaceAll(good, []byte{0xFF, 0xD3}, nil),
		"padding and then a hole":          append(jpegsamples.BeforeRestarts(good[:h.Scan+500], []byte{0}), good[h.Scan+1500:]...),
		"padding and then a bogus restart": bytes.ReplaceAll(jpegsamples.BeforeRestarts(good, []byte{0}), []byte{0xFF, 0xD3}, []byte{0xFF, 0xD7}),
		"more than padding":                jpegsamples.BeforeRestarts(good, make([]byte, 100)),
	} {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t)
			g, err := newDecoder(t, pool).Decode(frameOf(pool, sampleFormat, data))
			if g != nil || !errors.Is(err, jfif.ErrDamaged) {
				t.Errorf("got %v, error %v", g, err)
			}
		})
	}
}

// TestDecodeManyScans: a small progressive JPEG must not keep the decoder busy.
func TestDecodeManyScans(t *testing.T) {
	format := formatOf(capture.MJPEG, 100, 50)
	for scans, many := range map[int]bool{1: false, 16: false, 17: true, 190: true} {
		pool := newPool(t)
		g, err := newDecoder(t, pool).Decode(frameOf(pool, format, jpegbomb.Progressive(100, 50, scans)))
		if many != errors.Is(err, jfif.BadData) || many != (g == nil) || many != (err != nil && strings.Contains(err.Error(), "16 scans")) {
			t.Errorf("%d scans: %v, error is %v", scans, g, err)
		}
		if g != nil {
			g.Release()
		}
	}
}

// TestDecodeIsStateless: tables of the frame before are not this one's.
func TestDecodeIsStateless(t *testing.T) {
	pool := newPool(t)
	d := newDecoder(t, pool)
	good := readFixture(t, "good-422")
	g, err := d.Decode(frameOf(pool, sampleFormat, good))
	if err != nil {
		t.Fatal(err)
	}
	g.Release()
	if _, err := d.Decode(frameOf(pool, sampleFormat, jpegsamples.ReplaceSegment(good, jfif.DQT, nil))); !errors.Is(err, jfif.ErrDamaged) {
		t.Errorf("error is %v", err)
	}
}

// TestDecodeEndsAtClose: the end of a program does not wait for a large frame.
func TestDecodeEndsAtClose(t *testing.T) {
	pool := newPool(t)
	format := formatOf(capture.YUV420, 2048, 2048)
	raw := pool.Get(format.Size())
	raw.Format = format
	noise := rand.NewChaCha8([32]byte{})
	noise.Read(raw.Data)
	jpeg, err := newEncoder(t, JPEG, 100, pool).Encode(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer jpeg.Release()
	for _, lowLatency := range []bool{false, true} {
		d, result := NewDecoder(pool, Limits{}), make(chan error)
		d.LowLatency = lowLatency
		go func() {
			_, err := d.Decode(jpeg.Retain())
			result <- err
		}()
		time.Sleep(5 * time.Millisecond) // of the 50 or 100 that it takes
		d.Close()
		if err := <-result; err == nil || errors.Is(err, jfif.ErrDamaged) {
			t.Errorf("low latency %v: the error is %v", lowLatency, err)
		}
	}
}

func TestDecodeLimits(t *testing.T) {
	pool := newPool(t)
	d := NewDecoder(pool, Limits{Width: 159})
	defer d.Close()
	if _, err := d.Decode(frameOf(pool, sampleFormat, readFixture(t, "good-422"))); !errors.Is(err, jfif.TooLarge) || !strings.Contains(err.Error(), "159x8192") {
		t.Errorf("error is %v", err)
	}
}

func TestDecodeRaw(t *testing.T) {
	pool := newPool(t)
	d := newDecoder(t, pool)
	format := formatOf(capture.NV12, 6, 4)
	f := frameOf(pool, format, photo(format))
	g, err := d.Decode(f)
	if err != nil || g != f || !g.At[capture.Decoded].IsZero() {
		t.Fatalf("got %v, error %v", g, err)
	}
	g.Data = g.Data[1:]
	if _, err := d.Decode(g); !errors.Is(err, jfif.WrongSize) {
		t.Errorf("error is %v", err)
	}
}

func TestDecodeAllocates(t *testing.T) {
	for _, name := range []string{"good-422", "odd-420", "good-411"} {
		pool := newPool(t)
		d := newDecoder(t, pool)
		data := readFixture(t, name)
		h, _ := jfif.ParseHeader(data)
		n := testing.AllocsPerRun(100, func() {
			g, err := d.Decode(frameOf(pool, h.Format(), data))
			if err != nil {
				t.Fatal(err)
			}
			g.Release()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per frame", name, n)
		}
	}
}

func TestDecodeAfterClose(t *testing.T) {
	pool := newPool(t)
	d := NewDecoder(pool, Limits{})
	d.Close()
	d.Close()
	if _, err := d.Decode(frameOf(pool, sampleFormat, readFixture(t, "good-422"))); err == nil {
		t.Error("no error")
	}
}
