package codec

import (
	"image"
	"math"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

var patches = [][3]float64{{0, 0, 0}, {1, 1, 1}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0.5, 0.5, 0.5}, {0.2, 0.7, 0.4}}

// TestToRGBA: plain colours come out as they went in, by every format, matrix
// and range.
func TestToRGBA(t *testing.T) {
	for _, pixel := range capture.RawFormats() {
		for m := range 4 {
			format := formatOf(pixel, 5, 3)
			format.Matrix, format.Range = capture.Matrix(m&1), capture.Range(m>>1)
			for _, rgb := range patches {
				if pixel.Info().Planar == capture.GREY && (rgb[0] != rgb[1] || rgb[1] != rgb[2]) {
					continue
				}
				testToRGBA(t, format, rgb)
			}
		}
	}
}

func testToRGBA(t *testing.T, format capture.Format, rgb [3]float64) {
	t.Helper()
	pool := newPool(t)
	f := frameOf(pool, format, make([]byte, format.Size()))
	defer f.Release()
	samples := toYCbCr(format, rgb[0], rgb[1], rgb[2])
	if format.Pixel.Info().IsRGB() {
		samples = [3]float64{255 * rgb[0], 255 * rgb[1], 255 * rgb[2]}
	}
	for y := range format.Height {
		for x := range format.Width {
			put(format, f.Data, x, y, samples)
		}
	}
	m, err := ToRGBA(f)
	if err != nil {
		t.Fatal(err)
	}
	checkPlain(t, m, format, rgb)
}

func checkPlain(t *testing.T, m *image.RGBA, format capture.Format, rgb [3]float64) {
	t.Helper()
	if m.Rect.Dx() != format.Width || m.Rect.Dy() != format.Height || !m.Opaque() {
		t.Fatalf("%v: bounds are %v", format, m.Rect)
	}
	for i, got := range m.Pix {
		if i%4 < 3 && math.Abs(float64(got)-255*rgb[i%4]) > roughly(format.Pixel)[0] {
			t.Fatalf("%+v: component %d is %d instead of %.0f", format, i%4, got, 255*rgb[i%4])
		}
	}
}

func TestToRGBARefuses(t *testing.T) {
	pool := newPool(t)
	f := frameOf(pool, sampleFormat, nil)
	defer f.Release()
	if _, err := ToRGBA(f); err == nil {
		t.Error("a JPEG is accepted")
	}
}
