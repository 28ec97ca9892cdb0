package codec

import (
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

const fixtures = "../fixtures/jpeg"

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, name+".jpg"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// newPool returns a pool of which all frames have to be released in the end.
func newPool(t testing.TB) *capture.Pool {
	pool := new(capture.Pool)
	t.Cleanup(func() {
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	})
	return pool
}

// frameOf returns a frame with a copy of data.
func frameOf(pool *capture.Pool, format capture.Format, data []byte) *capture.Frame {
	f := pool.Get(len(data))
	f.Format, f.Sequence = format, 7
	copy(f.Data, data)
	return f
}

func newEncoder(t testing.TB, kind Kind, quality int, pool *capture.Pool) Encoder {
	t.Helper()
	e, err := NewEncoder(kind, quality, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func newDecoder(t testing.TB, pool *capture.Pool) *Decoder {
	d := NewDecoder(pool, Limits{})
	t.Cleanup(d.Close)
	return d
}

func newConverter(t testing.TB) *Converter {
	c := NewConverter()
	t.Cleanup(c.Close)
	return c
}

// guarded returns n bytes that end at a page that nobody may touch: libraries
// that read or write too much crash the test.
func guarded(t testing.TB, n int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err == nil {
		err = syscall.Mprotect(m[size:], syscall.PROT_NONE)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	return m[size-n : size : size]
}

// scene returns the colour of a photo-like picture at a point, R, G, B in 0..1:
// soft light, edges and fine texture.
func scene(x, y int) (r, g, b float64) {
	u, v := float64(x)/320, float64(y)/240
	light := 0.5 + 0.3*math.Sin(3*u+2*v) + 0.1*noise(x/24, y/24)
	texture := 0.04*noise(x/2, y/2) + 0.02*noise(x, y)
	if math.Mod(u+0.3*math.Sin(4*v), 0.5) < 0.1 {
		light *= 0.5
	}
	warm := 0.15 * math.Sin(2*v-u)
	return clamp1(light + warm + texture), clamp1(light + texture), clamp1(light - warm + texture)
}

func clamp1(x float64) float64 { return min(max(x, 0), 1) }

// noise is a hash of a point, -1..1.
func noise(x, y int) float64 {
	h := uint32(x)*374761393 + uint32(y)*668265263
	h = (h ^ h>>13) * 1274126177
	return float64(h>>8)/(1<<23) - 1
}

// sampleOf returns what the pixel (x, y) of the scene is in a format: Y', Cb,
// Cr, or R, G, B. It is the textbook formula, without any of the code under test.
func sampleOf(f capture.Format, x, y int) [3]float64 {
	r, g, b := scene(x, y)
	if packedRGB[f.Pixel] {
		return [3]float64{255 * r, 255 * g, 255 * b}
	}
	return toYCbCr(f, r, g, b)
}

func toYCbCr(f capture.Format, r, g, b float64) [3]float64 {
	kr, kb := 0.299, 0.114
	if f.Matrix == capture.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	luma := kr*r + (1-kr-kb)*g + kb*b
	cb, cr := (b-luma)/(2-2*kb), (r-luma)/(2-2*kr)
	if f.Range == capture.Full {
		return [3]float64{255 * luma, 128 + 255*cb, 128 + 255*cr}
	}
	return [3]float64{16 + 219*luma, 128 + 224*cb, 128 + 224*cr}
}

// where returns the offset of the samples of pixel (x, y) in a picture, in the
// order of sampleOf; -1 for those it lacks. Written from the V4L2 documentation.
func where(f capture.Format, x, y int) [3]int {
	w, h := f.Width, f.Height
	cw, ch := (w+1)/2, (h+1)/2
	luma := y*w + x
	packed := y*cw*4 + x/2*4
	switch f.Pixel {
	case capture.YUYV:
		return [3]int{packed + x%2*2, packed + 1, packed + 3}
	case capture.YVYU:
		return [3]int{packed + x%2*2, packed + 3, packed + 1}
	case capture.UYVY:
		return [3]int{packed + 1 + x%2*2, packed, packed + 2}
	case capture.NV12:
		c := w*h + (y/2*cw+x/2)*2
		return [3]int{luma, c, c + 1}
	case capture.NV21:
		c := w*h + (y/2*cw+x/2)*2
		return [3]int{luma, c + 1, c}
	case capture.YUV420:
		c := w*h + y/2*cw + x/2
		return [3]int{luma, c, c + cw*ch}
	case capture.YVU420:
		c := w*h + y/2*cw + x/2
		return [3]int{luma, c + cw*ch, c}
	case capture.YUV422P:
		c := w*h + y*cw + x/2
		return [3]int{luma, c, c + cw*h}
	case capture.YUV444:
		return [3]int{luma, luma + w*h, luma + 2*w*h}
	case capture.RGB24:
		return [3]int{3 * luma, 3*luma + 1, 3*luma + 2}
	case capture.BGR24:
		return [3]int{3*luma + 2, 3*luma + 1, 3 * luma}
	}
	return [3]int{luma, -1, -1}
}

// photo returns the scene as a raw picture; where pixels share chroma, the last
// one's holds.
func photo(f capture.Format) []byte {
	data := make([]byte, f.Size())
	for y := range f.Height {
		for x := range f.Width {
			s := sampleOf(f, x, y)
			for i, at := range where(f, x, y) {
				if at >= 0 {
					data[at] = byte(math.Round(s[i]))
				}
			}
		}
	}
	return data
}

// psnr returns the peak signal-to-noise ratio in dB.
func psnr(a, b []byte) float64 {
	var sum float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/sum)
}

func formatOf(pixel capture.PixelFormat, width, height int) capture.Format {
	return capture.Format{Pixel: pixel, Width: width, Height: height}
}
