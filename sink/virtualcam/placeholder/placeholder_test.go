package placeholder

import (
	"fmt"
	"image"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/fixtures/golden"
)

var text = []string{"No signal", "waiting for tbcam-send", "since 21:04:37"}

func formatOf(pixel capture.PixelFormat, width, height int) capture.Format {
	return capture.Format{Pixel: pixel, Width: width, Height: height}
}

func drawn(t testing.TB, format capture.Format, lines []string) *capture.Frame {
	t.Helper()
	pool := &capture.Pool{}
	f, err := Draw(pool, format, lines)
	if err != nil {
		t.Fatal(err)
	}
	if f.Format != format || len(f.Data) != format.Size() {
		t.Fatalf("%v was asked, %v of %d bytes is drawn", format, f.Format, len(f.Data))
	}
	t.Cleanup(func() {
		f.Release()
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	})
	return f
}

// TestGolden compares frames from the smallest to the largest with those that
// somebody has looked at.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		name   string
		format capture.Format
		lines  []string
	}{
		{"160x120", formatOf(capture.GREY, 160, 120), text},
		{"320x180", formatOf(capture.YUYV, 320, 180), text},
		{"640x480", formatOf(capture.NV12, 640, 480), text},
		{"3840x2160", formatOf(capture.YUYV, 3840, 2160), text},
		{"upright", formatOf(capture.YUV420, 240, 427), text},
		{"hostile", formatOf(capture.YUYV, 320, 240), []string{
			"Caf\u00e9 \x1b[31m\x00\u202e\u65e5\u672c", strings.Repeat("no-end-", 1000), "sender's\tCamera \u0416"}},
	} {
		t.Run(tt.name, func(t *testing.T) { golden.Check(t, tt.name, luma(t, drawn(t, tt.format, tt.lines))) })
	}
}

// luma returns a frame as full-range grey; chroma has to be that of grey.
func luma(t *testing.T, f *capture.Frame) *image.Gray {
	t.Helper()
	m, err := codec.ToRGBA(f)
	if err != nil {
		t.Fatal(err)
	}
	grey := image.NewGray(m.Rect)
	for i := range grey.Pix {
		p := m.Pix[4*i:][:3]
		if p[0] != p[1] || p[1] != p[2] {
			t.Fatalf("pixel %d is coloured: %v", i, p)
		}
		grey.Pix[i] = p[0]
	}
	return grey
}

// TestEveryFormat: the same frame in each format and range.
func TestEveryFormat(t *testing.T) {
	want := luma(t, drawn(t, formatOf(capture.GREY, 162, 122), text))
	for _, pixel := range capture.RawFormats() {
		if info := pixel.Info(); info.IsRGB() || info.Layout == capture.Words {
			continue // which no node of ours has
		}
		for _, r := range []capture.Range{capture.Limited, capture.Full} {
			format := formatOf(pixel, 162, 122)
			format.Range, format.Matrix = r, capture.BT709
			got := luma(t, drawn(t, format, text))
			for i := range got.Pix {
				if d := int(got.Pix[i]) - int(want.Pix[i]); d < -1 || d > 1 {
					t.Fatalf("%v, range %v: pixel %d is %d instead of %d", format, r, i, got.Pix[i], want.Pix[i])
				}
			}
		}
	}
}

// TestAnySize: nothing panics, and a text is there wherever one fits.
func TestAnySize(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {2, 2}, {8, 200}, {200, 8}, {33, 17}, {161, 121}, {8192, 16}} {
		for _, lines := range [][]string{nil, {""}, {"a"}, text, make([]string, 100)} {
			f := drawn(t, formatOf(capture.YUV420, size.X, size.Y), lines)
			inked := false
			for _, y := range f.Data[:size.X*size.Y] {
				inked = inked || y > 128
			}
			if want := size.Y > 16 && size.X > 160 && len(strings.Join(lines, "")) > 0; want && !inked {
				t.Errorf("%v: %q is not there", size, lines)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	pool := &capture.Pool{}
	for _, format := range []capture.Format{
		formatOf(capture.MJPEG, 320, 240), formatOf(capture.RGB24, 320, 240), formatOf(capture.YUYV, 0, 240), formatOf(capture.YUYV, 320, 1<<30),
	} {
		if f, err := Draw(pool, format, text); err == nil || f != nil {
			t.Errorf("%v: %v, %v", format, f, err)
		}
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, size := range []image.Point{{640, 480}, {1920, 1080}, {3840, 2160}} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			pool := &capture.Pool{}
			for b.Loop() {
				f, err := Draw(pool, formatOf(capture.YUYV, size.X, size.Y), text)
				if err != nil {
					b.Fatal(err)
				}
				f.Release()
			}
		})
	}
}
