package codec

import (
	"math"
	"os"
	"path/filepath"
	"slices"
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

// scenes remembers what scene returned: the tests ask for few points many times.
var scenes = make([][3]float32, 640*480)

// scene returns the colour of a photo-like frame at a point, R, G, B in 0..1:
// soft light, edges and fine texture.
func scene(x, y int) (r, g, b float64) {
	if x >= 640 || y >= 480 {
		return paint(x, y)
	}
	known := &scenes[y*640+x]
	if *known == [3]float32{} {
		r, g, b = paint(x, y)
		*known = [3]float32{float32(r), float32(g), float32(b)}
	}
	return float64(known[0]), float64(known[1]), float64(known[2])
}

func paint(x, y int) (r, g, b float64) {
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
	if f.Pixel.Info().IsRGB() {
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

// where returns the offset of the samples of pixel (x, y) in a frame, in the
// order of sampleOf; -1 for those it lacks, and for formats whose samples are no
// bytes: see get and put. Written from the V4L2 documentation.
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
	case capture.NV16:
		c := w*h + (y*cw+x/2)*2
		return [3]int{luma, c, c + 1}
	case capture.NV61:
		c := w*h + (y*cw+x/2)*2
		return [3]int{luma, c + 1, c}
	case capture.NV24:
		return [3]int{luma, w*h + 2*luma, w*h + 2*luma + 1}
	case capture.NV42:
		return [3]int{luma, w*h + 2*luma + 1, w*h + 2*luma}
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
	case capture.GREY:
		return [3]int{luma, -1, -1}
	}
	return whereRGB(f.Pixel, luma)
}

// whereRGB is where for the pixel of a number in a format of RGB.
func whereRGB(pixel capture.PixelFormat, n int) [3]int {
	switch pixel {
	case capture.RGB24:
		return [3]int{3 * n, 3*n + 1, 3*n + 2}
	case capture.BGR24:
		return [3]int{3*n + 2, 3*n + 1, 3 * n}
	case capture.XBGR32, capture.ABGR32, capture.BGR32: // B G R X
		return [3]int{4*n + 2, 4*n + 1, 4 * n}
	case capture.RGBX32, capture.RGBA32: // R G B X
		return [3]int{4 * n, 4*n + 1, 4*n + 2}
	case capture.XRGB32, capture.ARGB32, capture.RGB32: // X R G B
		return [3]int{4*n + 1, 4*n + 2, 4*n + 3}
	case capture.BGRX32, capture.BGRA32: // X B G R
		return [3]int{4*n + 3, 4*n + 2, 4*n + 1}
	}
	return [3]int{-1, -1, -1}
}

// wordBits holds how many low bits of a little-endian word are the luma.
var wordBits = map[capture.PixelFormat]int{capture.Y10: 10, capture.Y12: 12, capture.Y14: 14, capture.Y16: 16}

// get returns the samples of pixel (x, y), rounded down to 8 bits; -1 for those
// that the format lacks. RGB565 is not for it.
func get(f capture.Format, data []byte, x, y int) (s [3]float64) {
	if bits := wordBits[f.Pixel]; bits > 0 {
		at := 2 * (y*f.Width + x)
		return [3]float64{float64((int(data[at]) | int(data[at+1])<<8) >> (bits - 8)), -1, -1}
	}
	for i, at := range where(f, x, y) {
		s[i] = -1
		if at >= 0 {
			s[i] = float64(data[at])
		}
	}
	return s
}

// put sets the samples of pixel (x, y).
func put(f capture.Format, data []byte, x, y int, s [3]float64) {
	v := [3]int{}
	for i := range s {
		v[i] = int(min(max(math.Round(s[i]), 0), 255))
	}
	word, at := v[0]<<max(wordBits[f.Pixel]-8, 0), 2*(y*f.Width+x)
	if f.Pixel == capture.RGB565 {
		word = v[0]>>3<<11 | v[1]>>2<<5 | v[2]>>3
	}
	if f.Pixel == capture.RGB565 || wordBits[f.Pixel] > 0 {
		data[at], data[at+1] = byte(word), byte(word>>8)
	}
	for i, at := range where(f, x, y) {
		if at >= 0 {
			data[at] = byte(v[i])
		}
	}
}

// photo returns the scene as a raw frame; where pixels share chroma, the last
// one's holds.
func photo(f capture.Format) []byte {
	data := make([]byte, f.Size())
	for y := range f.Height {
		for x := range f.Width {
			put(f, data, x, y, sampleOf(f, x, y))
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

// distinct lists the raw formats without those that differ from another in their
// code alone, as X from A.
func distinct() []capture.PixelFormat {
	seen := make(map[[4]int]bool)
	return slices.DeleteFunc(capture.RawFormats(), func(p capture.PixelFormat) bool {
		order := p.Info().RGB
		known := seen[order] && p.Info().Layout == capture.PackedRGB
		seen[order] = true
		return known
	})
}

func formatOf(pixel capture.PixelFormat, width, height int) capture.Format {
	return capture.Format{Pixel: pixel, Width: width, Height: height}
}
