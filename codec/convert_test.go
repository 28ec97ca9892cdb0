package codec

import (
	"bytes"
	"math"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// targets are the formats that Convert makes.
func targets() []capture.PixelFormat {
	var t []capture.PixelFormat
	for _, p := range distinct() {
		if layout := p.Info().Layout; !p.Info().IsRGB() && layout != capture.Words {
			t = append(t, p)
		}
	}
	return t
}

// TestConvert compares every pair of formats and ranges with plain code, on odd
// sizes too, and nothing outside the frames is touched.
func TestConvert(t *testing.T) {
	c := newConverter(t)
	for _, size := range [][2]int{{64, 48}, {65, 49}, {1, 1}, {3, 2}, {2, 5}, {98, 1}} {
		for _, from := range distinct() {
			for _, to := range targets() {
				for r := range 4 {
					a, b := formatOf(from, size[0], size[1]), formatOf(to, size[0], size[1])
					a.Range, b.Range = capture.Range(r&1), capture.Range(r>>1)
					testConvert(t, c, a, b)
				}
			}
		}
	}
}

func testConvert(t *testing.T, c *Converter, from, to capture.Format) {
	t.Helper()
	pool := newPool(t)
	raw := append(guarded(t, from.Size())[:0], photo(from)...)
	f := frameOf(pool, from, nil)
	defer f.Release()
	f.Data = raw
	dst := guarded(t, to.Size())
	if err := c.Convert(dst, to, f); err != nil {
		t.Fatal(err)
	}
	for y := range to.Height {
		for x := range to.Width {
			want, slack := expected(from, to, raw, x, y)
			for i, at := range where(to, x, y) {
				if at >= 0 && math.Abs(float64(dst[at])-math.Floor(want[i]+0.5)) > slack[i] {
					t.Fatalf("%v range %v to %v range %v: component %d of (%d, %d) is %d instead of %.1f",
						from, from.Range, to, to.Range, i, x, y, dst[at], want[i])
				}
			}
		}
	}
}

// expected returns what a pixel becomes, and by how much it may differ: by
// nothing where neither RGB nor subsampling is involved.
func expected(from, to capture.Format, raw []byte, x, y int) (want, slack [3]float64) {
	if from.Pixel.Info().IsRGB() {
		return sampleOf(to, x, y), roughly(from.Pixel)
	}
	if PlanarFormat(from).Pixel != PlanarFormat(to).Pixel {
		slack = [3]float64{0, 4, 4}
	}
	for i, v := range get(from, raw, x, y) {
		if v < 0 {
			want[i], slack[i] = neutral, 0
		} else {
			want[i] = inRange(v, i, from.Range, to.Range)
		}
	}
	return want, slack
}

// roughly returns by how much what was RGB may differ: by rounding, and by what
// 5 and 6 bits cannot hold.
func roughly(pixel capture.PixelFormat) [3]float64 {
	if pixel == capture.RGB565 {
		return [3]float64{5, 8, 8}
	}
	return [3]float64{2, 4, 4}
}

// inRange is the textbook formula.
func inRange(v float64, component int, from, to capture.Range) float64 {
	black, span := 16.0, 219.0
	if component > 0 {
		black, span = 128, 224
	}
	fullBlack := math.Trunc(black/100) * 128
	switch {
	case from == to:
		return v
	case to == capture.Full:
		return clamp1((fullBlack+(v-black)*255/span)/255) * 255
	}
	return black + (v-fullBlack)*span/255
}

// TestRange: every sample value, both ways, exactly.
func TestRange(t *testing.T) {
	c := newConverter(t)
	for r := range 2 {
		from, to := formatOf(capture.YUV444, 256, 1), formatOf(capture.YUV444, 256, 1)
		from.Range, to.Range = capture.Range(r), capture.Range(1-r)
		pool := newPool(t)
		f := frameOf(pool, from, make([]byte, from.Size()))
		for i := range f.Data {
			f.Data[i] = byte(i)
		}
		dst := make([]byte, to.Size())
		if err := c.Convert(dst, to, f); err != nil {
			t.Fatal(err)
		}
		for i, got := range dst {
			if want := math.Floor(inRange(float64(i%256), i/256, from.Range, to.Range) + 0.5); float64(got) != want {
				t.Errorf("range %v: component %d: %d becomes %d instead of %v", from.Range, i/256, i%256, got, want)
			}
		}
		f.Release()
	}
}

// TestConvertThereAndBack: what is rearranged only comes back bit-identical.
func TestConvertThereAndBack(t *testing.T) {
	c := newConverter(t)
	for _, pair := range [][2]capture.PixelFormat{
		{capture.YUYV, capture.YUV422P}, {capture.UYVY, capture.YUYV}, {capture.YVYU, capture.UYVY},
		{capture.NV12, capture.YUV420}, {capture.NV16, capture.YUYV}, {capture.NV61, capture.YUV422P}, {capture.NV24, capture.YUV444},
		{capture.NV42, capture.NV24}, {capture.NV21, capture.YVU420}, {capture.YUV420, capture.NV21},
		{capture.RGB24, capture.RGB24},
	} {
		pool := newPool(t)
		a, b := formatOf(pair[0], 66, 34), formatOf(pair[1], 66, 34)
		f := frameOf(pool, a, photo(a))
		g := frameOf(pool, b, make([]byte, b.Size()))
		back := make([]byte, a.Size())
		if err := c.Convert(g.Data, b, f); err != nil {
			t.Fatal(err)
		}
		if err := c.Convert(back, a, g); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back, f.Data) {
			t.Errorf("%v to %v and back differs", a, b)
		}
		f.Release()
		g.Release()
	}
}

// TestWords: of every 16-bit word, the upper 8 of its low bits; what is above them
// is white.
func TestWords(t *testing.T) {
	c := newConverter(t)
	for pixel, bits := range wordBits {
		pool := newPool(t)
		from, to := formatOf(pixel, 256, 256), formatOf(capture.GREY, 256, 256)
		f := frameOf(pool, from, make([]byte, from.Size()))
		for v := range 1 << 16 {
			f.Data[2*v], f.Data[2*v+1] = byte(v), byte(v>>8)
		}
		dst := guarded(t, to.Size())
		if err := c.Convert(dst, to, f); err != nil {
			t.Fatal(err)
		}
		for v, got := range dst {
			if want := byte(min(v>>(bits-8), 255)); got != want {
				t.Fatalf("%v: %#x becomes %d instead of %d", pixel, v, got, want)
			}
		}
		f.Release()
	}
}

// TestRGB565: golden pixels, byte by byte as pixfmt-rgb.rst draws them.
func TestRGB565(t *testing.T) {
	pool := newPool(t)
	f := frameOf(pool, formatOf(capture.RGB565, 5, 1), []byte{0x00, 0xF8, 0xE0, 0x07, 0x1F, 0x00, 0xFF, 0xFF, 0x10, 0x84})
	defer f.Release()
	m, err := ToRGBA(f)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255, 255, 255, 255, 132, 130, 132, 255}
	if !bytes.Equal(m.Pix, want) {
		t.Errorf("the pixels are %v, want %v", m.Pix, want)
	}
	to := PlanarFormat(f.Format)
	dst := make([]byte, to.Size())
	if err := newConverter(t).Convert(dst, to, f); err != nil {
		t.Fatal(err)
	}
	golden := []byte{76, 150, 29, 255, 131, 85, 44, 255, 128, 129, 255, 21, 107, 128, 129}
	for i := range golden {
		if d := int(dst[i]) - int(golden[i]); d < -1 || d > 1 {
			t.Fatalf("the planes are %v, want %v", dst, golden)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		w, h, toW, toH int
		want           rect
	}{
		{640, 480, 1280, 960, rect{0, 0, 1280, 960}},
		{640, 480, 1280, 720, rect{160, 0, 960, 720}},
		{1920, 1080, 640, 480, rect{0, 60, 640, 360}},
		{1920, 1080, 641, 481, rect{0, 60, 641, 360}},
		{1000, 1, 100, 100, rect{0, 48, 100, 2}},
		{1, 1000, 100, 100, rect{48, 0, 2, 100}},
		{1000, 1, 3, 1, rect{0, 0, 3, 1}},
		{8192, 1, 1, 8192, rect{0, 4094, 1, 2}},
	} {
		if got := fitInside(formatOf(capture.GREY, tt.w, tt.h), formatOf(capture.GREY, tt.toW, tt.toH)); got != tt.want {
			t.Errorf("%dx%d in %dx%d is %v instead of %v", tt.w, tt.h, tt.toW, tt.toH, got, tt.want)
		}
	}
}

// TestFitCrop: what is shown has the shape of the target and is the middle.
func TestFitCrop(t *testing.T) {
	for _, tt := range []struct {
		w, h, toW, toH int
		want           rect
	}{
		{640, 480, 1280, 720, rect{0, 60, 640, 360}},
		{1920, 1080, 640, 480, rect{240, 0, 1440, 1080}},
		{641, 481, 100, 100, rect{78, 0, 482, 481}},
		{8192, 1, 1, 8192, rect{4094, 0, 2, 1}},
	} {
		to := formatOf(capture.GREY, tt.toW, tt.toH)
		shown, box := FitCrop.placeIn(formatOf(capture.GREY, tt.w, tt.h), to)
		if shown != tt.want || box != wholeRect(to) {
			t.Errorf("of %dx%d %v is shown, in %v of %dx%d; want %v", tt.w, tt.h, shown, box, tt.toW, tt.toH, tt.want)
		}
	}
}

// TestLetterbox: a plain frame stays plain inside its box, and the rest is black.
func TestLetterbox(t *testing.T) {
	for _, fit := range []Fit{FitContain, FitCrop, FitStretch} {
		testLetterbox(t, fit)
	}
}

func testLetterbox(t *testing.T, fit Fit) {
	c := newConverter(t)
	c.Fit = fit
	colour := [3]byte{90, 60, 200}
	for _, size := range [][4]int{{64, 48, 128, 72}, {64, 48, 40, 41}, {33, 65, 129, 33}, {640, 8, 31, 31}, {2, 2, 1, 7}} {
		for _, pixel := range targets() {
			for _, r := range []capture.Range{capture.Limited, capture.Full} {
				from, to := formatOf(capture.YUV444, size[0], size[1]), formatOf(pixel, size[2], size[3])
				from.Range, to.Range = r, r
				pool := newPool(t)
				f := frameOf(pool, from, make([]byte, from.Size()))
				for i := range colour {
					repeatPattern(f.Data[i*len(f.Data)/3:(i+1)*len(f.Data)/3], colour[i])
				}
				dst := guarded(t, to.Size())
				if err := c.Convert(dst, to, f); err != nil {
					t.Fatal(err)
				}
				_, box := fit.placeIn(from, to)
				checkLetterbox(t, to, box, dst, colour)
				f.Release()
			}
		}
	}
}

func checkLetterbox(t *testing.T, f capture.Format, box rect, data []byte, colour [3]byte) {
	t.Helper()
	black := [3]byte{16, 128, 128}
	if f.Range == capture.Full {
		black[0] = 0
	}
	for y := range f.Height {
		for x := range f.Width {
			want, slack := black, 0
			if x >= box.x && x < box.x+box.w && y >= box.y && y < box.y+box.h {
				want, slack = colour, 1 // filters round
			}
			for i, at := range where(f, x, y) {
				if at >= 0 && max(int(data[at])-int(want[i]), int(want[i])-int(data[at])) > slack {
					t.Fatalf("%v: component %d of (%d, %d) is %d instead of %d", f, i, x, y, data[at], want[i])
				}
			}
		}
	}
}

// TestScale: a frame made smaller is the frame of the same scene.
func TestScale(t *testing.T) {
	c := newConverter(t)
	pool := newPool(t)
	from, to := formatOf(capture.YUV422P, 640, 480), formatOf(capture.YUYV, 320, 240)
	f := frameOf(pool, from, photo(from))
	defer f.Release()
	dst := make([]byte, to.Size())
	if err := c.Convert(dst, to, f); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, to.Size())
	for y := range to.Height {
		for x := range to.Width {
			for i, at := range where(to, x, y) {
				sum := 0
				for k := range 4 {
					sum += int(f.Data[where(from, 2*x+k%2, 2*y+k/2)[i]])
				}
				want[at] = byte((sum + 2) / 4)
			}
		}
	}
	if db := psnr(dst, want); db < 45 {
		t.Errorf("PSNR is %.1f dB", db)
	}
}

// TestPlanar: planes with lines longer than the frame's; what follows the
// lines stays as it is.
func TestPlanar(t *testing.T) {
	c := newConverter(t)
	for _, size := range [][2]int{{64, 48}, {65, 49}, {1, 1}} {
		for _, pixel := range distinct() {
			pool := newPool(t)
			from := formatOf(pixel, size[0], size[1])
			to := PlanarFormat(from)
			f := frameOf(pool, from, photo(from))
			var dst [3][]byte
			var strides [3]int
			planes, n := to.Planes()
			for i, l := range planes[:n] {
				strides[i] = l.Stride + 7 + i
				dst[i] = guarded(t, strides[i]*(l.Lines-1)+l.Stride)
				repeatPattern(dst[i], 0xA5)
			}
			if err := c.Planar(dst, strides, f); err != nil {
				t.Fatal(err)
			}
			checkPlanar(t, to, dst, strides, photoAs(t, to, from, f.Data), slackOf(pixel))
			f.Release()
		}
	}
}

// slackOf is by how much planes may differ from the exact ones.
func slackOf(pixel capture.PixelFormat) int {
	switch {
	case pixel == capture.RGB565:
		return 5
	case pixel.Info().IsRGB():
		return 2
	}
	return 0
}

func checkPlanar(t *testing.T, f capture.Format, dst [3][]byte, strides [3]int, want []byte, slack int) {
	t.Helper()
	planes, n := f.Planes()
	for i, l := range planes[:n] {
		for at, got := range dst[i] {
			x, y := at%strides[i], at/strides[i]
			expect := byte(0xA5)
			if x < l.Stride {
				expect = want[l.Offset+y*l.Stride+x]
			}
			if d := int(got) - int(expect); d < -slack || d > slack {
				t.Fatalf("%v: plane %d (%d, %d) is %d instead of %d", f, i, x, y, got, expect)
			}
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	c := newConverter(t)
	pool := newPool(t)
	from := formatOf(capture.YUYV, 8, 8)
	f := frameOf(pool, from, photo(from))
	defer f.Release()
	dst := make([]byte, 1000)
	for name, err := range map[string]error{
		"compressed target": c.Convert(dst, formatOf(capture.MJPEG, 8, 8), f),
		"RGB target":        c.Convert(dst, formatOf(capture.RGB24, 8, 8), f),
		"RGB565 target":     c.Convert(dst, formatOf(capture.RGB565, 8, 8), f),
		"target of 10 bits": c.Convert(dst, formatOf(capture.Y10, 8, 8), f),
		"empty target":      c.Convert(dst, formatOf(capture.YUYV, 0, 8), f),
		"no room":           c.Convert(dst[:10], formatOf(capture.YUYV, 8, 8), f),
		"no room in plane":  c.Planar([3][]byte{dst, dst, dst[:31]}, [3]int{8, 4, 4}, f),
		"short stride":      c.Planar([3][]byte{dst, dst, dst}, [3]int{8, 4, 3}, f),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f.Data = f.Data[1:]
	if c.Convert(dst, from, f) == nil || c.Planar([3][]byte{dst, dst, dst}, [3]int{8, 4, 4}, f) == nil {
		t.Error("a short frame is accepted")
	}
}

func TestConvertAllocates(t *testing.T) {
	c := newConverter(t)
	for _, pixel := range distinct() {
		pool := newPool(t)
		from, to := formatOf(pixel, 65, 49), formatOf(capture.YUYV, 128, 72)
		to.Range = capture.Full
		f := frameOf(pool, from, photo(from))
		dst := make([]byte, to.Size())
		if n := testing.AllocsPerRun(100, func() {
			if err := c.Convert(dst, to, f); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations per frame", pixel, n)
		}
		f.Release()
	}
}
