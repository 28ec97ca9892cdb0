package codec

import (
	"bytes"
	"errors"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

var sampleFormat = capture.Format{Pixel: capture.MJPEG, Width: 160, Height: 120, Range: capture.Full}

func TestCopyRepairs(t *testing.T) {
	for _, s := range jpegsamples.All {
		if s.Cause == jfif.WrongSize { // not here: see TestCopyTrustsTheHeader
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			pool := newPool(t)
			e := newEncoder(t, Copy, 0, pool)
			data := readFixture(t, s.Name)
			f := frameOf(pool, sampleFormat, data)
			g, err := e.Encode(f)
			checkCounts(t, e.Counts(), s.Cause)
			if s.Cause >= jfif.NoSOI && s.Cause != jpegsamples.None {
				if g != nil || !errors.Is(err, s.Cause) || !errors.Is(err, jfif.ErrDamaged) {
					t.Fatalf("got %v, error %v", g, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Cause == jpegsamples.None && (g != f || !bytes.Equal(g.Data, data)) {
				t.Error("a good frame was changed")
			}
			if g.Format != sampleFormat || g.Sequence != 7 || g.At[capture.Encoded].IsZero() {
				t.Errorf("frame is %+v", g)
			}
			checkSound(t, g.Data)
			compareFrames(t, pool, g, frameOf(pool, sampleFormat, readFixture(t, s.Base)))
		})
	}
}

func checkCounts(t *testing.T, got jfif.Counts, cause jfif.Cause) {
	t.Helper()
	var want jfif.Counts
	dropped := uint64(0)
	if cause != jpegsamples.None {
		want[cause] = 1
	}
	if cause >= jfif.NoSOI && cause != jpegsamples.None {
		dropped = 1
	}
	if got != want || got.Dropped() != dropped {
		t.Errorf("counts are %v, %d dropped", got, got.Dropped())
	}
}

// checkSound: the strictest decoder at hand takes it, and nothing follows it.
func checkSound(t *testing.T, data []byte) {
	t.Helper()
	if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
		t.Errorf("image/jpeg: %v", err)
	}
	if !jfif.StartsJPEG(data) || !bytes.HasSuffix(data, []byte{0xFF, jfif.EOI}) {
		t.Error("it does not begin with SOI or not end with EOI")
	}
}

// compareFrames releases both frames.
func compareFrames(t *testing.T, pool *capture.Pool, a, b *capture.Frame) {
	t.Helper()
	d := newDecoder(t, pool)
	x, err := d.Decode(a)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	y, err := d.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Release()
	if x.Format != y.Format || !bytes.Equal(x.Data, y.Data) {
		t.Error("the frames differ")
	}
}

// TestCopyTrustsTheHeader: some cameras send another size than the driver reported.
func TestCopyTrustsTheHeader(t *testing.T) {
	pool := newPool(t)
	e := newEncoder(t, Copy, 0, pool)
	announced := sampleFormat
	announced.Width, announced.Height = 640, 480
	for _, name := range []string{"good-422", "no-dht"} {
		g, err := e.Encode(frameOf(pool, announced, readFixture(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		if g.Format != sampleFormat {
			t.Errorf("%s: format is %v, want %v", name, g.Format, sampleFormat)
		}
		g.Release()
	}
}

// TestCopySaysWhy: what a camera sends that cannot be shown is refused where it
// is captured, with the reason.
func TestCopySaysWhy(t *testing.T) {
	for name, reason := range map[string]string{
		"unsupported-rgb":        "RGB",
		"unsupported-adobe0":     "RGB",
		"unsupported-arithmetic": "arithmetic",
		"unsupported-12-bit":     "12 bits",
		"unsupported-sampling":   "0x31",
		"too-wide":               "8192x8192",
		"too-many-pixels":        "64 MiB",
	} {
		pool := newPool(t)
		_, err := newEncoder(t, Copy, 0, pool).Encode(frameOf(pool, sampleFormat, readFixture(t, name)))
		if !errors.Is(err, jfif.ErrDamaged) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: error is %v, want %s in it", name, err, reason)
		}
	}
}

// TestCopyCombined: every repair at once.
func TestCopyCombined(t *testing.T) {
	pool := newPool(t)
	e := newEncoder(t, Copy, 0, pool)
	good := readFixture(t, "good-422")
	bad := jpegsamples.WithoutDHT(jpegsamples.InsertBefore(good, jfif.SOF0, []byte("junk")))
	bad = append([]byte("junk"), bad[:len(bad)-2]...)
	g, err := e.Encode(frameOf(pool, sampleFormat, bad))
	if err != nil {
		t.Fatal(err)
	}
	if c := e.Counts(); c != (jfif.Counts{jfif.JunkBefore: 1, jfif.JunkBetween: 1, jfif.NoHuffman: 1, jfif.NoEOI: 1}) {
		t.Errorf("counts are %v", c)
	}
	checkSound(t, g.Data)
	compareFrames(t, pool, g, frameOf(pool, sampleFormat, good))
}

// TestCopyCutScan: a frame cut within its scan passes with an EOI, and is
// found damaged when it is decoded.
func TestCopyCutScan(t *testing.T) {
	pool := newPool(t)
	e := newEncoder(t, Copy, 0, pool)
	good := readFixture(t, "good-422")
	g, err := e.Encode(frameOf(pool, sampleFormat, good[:len(good)*2/3]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newDecoder(t, pool).Decode(g); !errors.Is(err, jfif.BadData) || !errors.Is(err, jfif.ErrDamaged) {
		t.Errorf("error is %v", err)
	}
}

func TestCopyAllocates(t *testing.T) {
	for _, name := range []string{"good-422", "no-dht", "padded"} {
		pool := newPool(t)
		e := newEncoder(t, Copy, 0, pool)
		data := readFixture(t, name)
		n := testing.AllocsPerRun(100, func() {
			g, err := e.Encode(frameOf(pool, sampleFormat, data))
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
