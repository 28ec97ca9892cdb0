package codec

import (
	"fmt"
	"math"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// TestRGBA compares grey, and all colours of flat pictures, with the exact
// conversion.
func TestRGBA(t *testing.T) {
	c := NewConverter()
	defer c.Close()
	var pool capture.Pool
	for _, pixel := range []capture.PixelFormat{capture.YUV420, capture.YUV422P, capture.YUV444, capture.GREY, capture.NV12, capture.YUYV} {
		for _, matrix := range []capture.Matrix{capture.BT601, capture.BT709} {
			for _, rng := range []capture.Range{capture.Limited, capture.Full} {
				f := capture.Format{Pixel: pixel, Width: 34, Height: 3, Matrix: matrix, Range: rng}
				t.Run(fmt.Sprint(pixel, " matrix ", matrix, " range ", rng), func(t *testing.T) {
					worst := 0
					for y := 0; y < 256; y += 15 {
						for cb := 0; cb < 256; cb += 15 {
							for cr := 0; cr < 256; cr += 15 {
								worst = max(worst, rgbaError(t, c, flat(&pool, f, byte(y), byte(cb), byte(cr))))
							}
						}
					}
					t.Logf("at most %d/255 off", worst)
					if worst > 1 {
						t.Errorf("%d/255 off", worst)
					}
				})
			}
		}
	}
}

// flat returns a frame of one colour.
func flat(pool *capture.Pool, f capture.Format, y, cb, cr byte) *capture.Frame {
	fr := pool.Get(f.Size())
	fr.Format = f
	planes, _ := f.Planes()
	repeatPattern(fr.Data, y)
	switch f.Pixel {
	case capture.YUYV:
		repeatPattern(fr.Data, y, cb, y, cr)
	case capture.NV12:
		repeatPattern(fr.Data[planes[1].Offset:], cb, cr)
	case capture.GREY:
	default:
		repeatPattern(fr.Data[planes[1].Offset:planes[2].Offset], cb)
		repeatPattern(fr.Data[planes[2].Offset:], cr)
	}
	return fr
}

// rgbaError returns how far a flat frame is off at most, and releases it.
func rgbaError(t *testing.T, c *Converter, f *capture.Frame) int {
	t.Helper()
	defer f.Release()
	want, err := ToRGBA(f)
	if err != nil {
		t.Fatal(err)
	}
	stride := 4*f.Format.Width + 8
	dst := make([]byte, stride*f.Format.Height)
	if err := c.RGBA(dst, stride, f); err != nil {
		t.Fatal(err)
	}
	worst := 0
	for line := range f.Format.Height {
		for i, w := range want.Pix[line*want.Stride:][:4*f.Format.Width] {
			worst = max(worst, int(math.Abs(float64(w)-float64(dst[line*stride+i]))))
		}
	}
	return worst
}

// BenchmarkRGBA: what the window's software path costs tbcam-view.
func BenchmarkRGBA(b *testing.B) {
	c := NewConverter()
	defer c.Close()
	var pool capture.Pool
	f := flat(&pool, capture.Format{Pixel: capture.YUV420, Width: 1920, Height: 1080, Range: capture.Full}, 100, 90, 150)
	defer f.Release()
	dst := make([]byte, 4*f.Format.Width*f.Format.Height)
	for b.Loop() {
		if err := c.RGBA(dst, 4*f.Format.Width, f); err != nil {
			b.Fatal(err)
		}
	}
}
