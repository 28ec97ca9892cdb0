package codec

import (
	"errors"
	"image"
	"math"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// transforms are all the turns, with and without a crop.
func transforms(crop image.Rectangle) []Transform {
	var all []Transform
	for _, rotate := range []int{0, 90, 180, 270} {
		for _, mirror := range []bool{false, true} {
			all = append(all, Transform{Rotate: rotate, Mirror: mirror}, Transform{Crop: crop, Rotate: rotate, Mirror: mirror})
		}
	}
	return all
}

// TestTransform compares every format and turn with plain code, on odd sizes too;
// nothing outside the frames is touched, and the frame itself stays as it was.
func TestTransform(t *testing.T) {
	for _, size := range []image.Point{{64, 48}, {65, 49}, {1, 1}, {3, 2}, {2, 5}} {
		for _, pixel := range distinct() {
			for _, tr := range transforms(image.Rect(13, 9, 60, 44)) {
				testTransform(t, formatOf(pixel, size.X, size.Y), tr)
			}
		}
	}
}

func testTransform(t *testing.T, from capture.Format, tr Transform) {
	t.Helper()
	pool := newPool(t)
	f := frameOf(pool, from, nil)
	f.Data = append(guarded(t, from.Size())[:0], photo(from)...)
	before := string(f.Data)
	g := apply(t, pool, tr, f.Retain())
	defer f.Release()
	defer g.Release()
	if string(f.Data) != before {
		t.Fatalf("%v %+v: the frame was changed", from, tr)
	}
	to := tr.Format(from)
	if g.Format != to || g.Sequence != f.Sequence || len(g.Data) != to.Size() {
		t.Fatalf("%v %+v: got %v of %d bytes, frame %d; want %v", from, tr, g.Format, len(g.Data), g.Sequence, to)
	}
	for y := range to.Height {
		for x := range to.Width {
			if !tr.Identity() {
				checkTurned(t, from, tr, f.Data, g, x, y)
			}
		}
	}
}

// checkTurned checks a pixel of the result: exactly, unless it was RGB or has
// chroma between that of the source's pixels.
func checkTurned(t *testing.T, from capture.Format, tr Transform, source []byte, g *capture.Frame, x, y int) {
	t.Helper()
	at := cameFrom(tr, from, g.Format, x, y)
	want, slack := get(from, source, at.X, at.Y), [3]float64{}
	switch {
	case from.Pixel.Info().IsRGB():
		want, slack = sampleOf(g.Format, at.X, at.Y), roughly(from.Pixel)
	case PlanarFormat(from).Pixel != g.Format.Pixel:
		slack = [3]float64{0, 12, 12} // interpolated; the scene's chroma is noisy
	}
	for i, offset := range where(g.Format, x, y) {
		if offset >= 0 && math.Abs(float64(g.Data[offset])-math.Round(want[i])) > slack[i] {
			t.Fatalf("%v %+v: component %d of (%d, %d) is %d instead of %v, that of (%d, %d)",
				from, tr, i, x, y, g.Data[offset], want[i], at.X, at.Y)
		}
	}
}

// cameFrom returns the source's pixel that becomes (x, y): mirrored back, turned
// back, and moved to where the crop begins.
func cameFrom(tr Transform, from, to capture.Format, x, y int) image.Point {
	if tr.Mirror {
		x = to.Width - 1 - x
	}
	for range (360 - tr.Rotate) % 360 / 90 { // clockwise quarters, all the way round
		w, h := to.Width, to.Height
		x, y = h-1-y, x
		to.Width, to.Height = h, w
	}
	crop := tr.Crop.Intersect(image.Rect(0, 0, from.Width, from.Height))
	if crop.Empty() {
		return image.Pt(x, y)
	}
	even := map[capture.PixelFormat][2]int{capture.YUV420: {1, 1}, capture.YUV422P: {1, 0}}[PlanarFormat(from).Pixel]
	return image.Pt(crop.Min.X&^even[0]+x, crop.Min.Y&^even[1]+y)
}

func apply(t testing.TB, pool *capture.Pool, tr Transform, f *capture.Frame) *capture.Frame {
	t.Helper()
	r := NewTransformer(pool, tr)
	defer r.Close()
	g, err := r.Apply(f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestTransformOddChroma: chroma that is interpolated stays where it was: a sample
// lies between its two pixels, also in a row that ends with half a pair.
func TestTransformOddChroma(t *testing.T) {
	pool := newPool(t)
	from := formatOf(capture.YUV422P, 65, 1)
	f := frameOf(pool, from, make([]byte, from.Size()))
	const slope = 7 // per sample of chroma
	cb := f.Data[from.Width:][:33]
	for i := range cb {
		cb[i] = byte(slope * i)
	}
	g := apply(t, pool, Transform{Mirror: true}, f)
	defer g.Release()
	for x := 1; x < 64; x++ {
		at := where(g.Format, 64-x, 0)[1]
		if want := slope * (float64(x) - 0.5) / 2; math.Abs(float64(g.Data[at])-want) > 1 {
			t.Errorf("chroma of pixel %d is %d instead of %.1f", x, g.Data[at], want)
		}
	}
}

// TestTransformFormat: the size of every frame, and chroma that no raw format
// has.
func TestTransformFormat(t *testing.T) {
	crop := image.Rect(11, 13, 111, 63)
	for _, tt := range []struct {
		transform Transform
		in, want  capture.Format
	}{
		{Transform{}, formatOf(capture.YUYV, 640, 480), formatOf(capture.YUYV, 640, 480)},
		{Transform{}, formatOf(capture.MJPEG, 640, 480), formatOf(capture.MJPEG, 640, 480)},
		{Transform{Rotate: 90}, formatOf(capture.MJPEG, 640, 480), formatOf(capture.MJPEG, 480, 640)},
		{Transform{Rotate: 180}, formatOf(capture.YUYV, 640, 480), formatOf(capture.YUV422P, 640, 480)},
		{Transform{Rotate: 90}, formatOf(capture.YUYV, 640, 480), formatOf(capture.YUV444, 480, 640)},
		{Transform{Rotate: 90}, formatOf(capture.NV12, 640, 480), formatOf(capture.YUV420, 480, 640)},
		{Transform{Rotate: 90}, formatOf(capture.YUV420, 641, 480), formatOf(capture.YUV420, 480, 641)},
		{Transform{Rotate: 270}, formatOf(capture.YUV420, 641, 480), formatOf(capture.YUV444, 480, 641)},
		{Transform{Rotate: 90, Mirror: true}, formatOf(capture.YUV420, 641, 481), formatOf(capture.YUV420, 481, 641)},
		{Transform{Mirror: true}, formatOf(capture.YUYV, 641, 480), formatOf(capture.YUV444, 641, 480)},
		{Transform{Crop: crop}, formatOf(capture.YUYV, 640, 480), formatOf(capture.YUV422P, 100, 50)},
		{Transform{Crop: crop, Rotate: 270}, formatOf(capture.MJPEG, 640, 480), formatOf(capture.MJPEG, 50, 100)},
		{Transform{Crop: crop}, formatOf(capture.GREY, 100, 50), formatOf(capture.GREY, 89, 37)},
		{Transform{Crop: crop}, formatOf(capture.GREY, 11, 50), formatOf(capture.GREY, 11, 50)},
	} {
		if got := tt.transform.Format(tt.in); got != tt.want {
			t.Errorf("%+v makes %v of %v, want %v", tt.transform, got, tt.in, tt.want)
		}
	}
}

func TestTransformKeepsColour(t *testing.T) {
	in := formatOf(capture.YUYV, 64, 48)
	in.Matrix, in.Range = capture.BT709, capture.Full
	if out := (Transform{Rotate: 90}).Format(in); out.Matrix != in.Matrix || out.Range != in.Range {
		t.Errorf("%+v becomes %+v", in, out)
	}
}

func TestTransformOfNothingPasses(t *testing.T) {
	pool := newPool(t)
	f := frameOf(pool, formatOf(capture.YUYV, 8, 8), photo(formatOf(capture.YUYV, 8, 8)))
	if g := apply(t, pool, Transform{}, f); g != f {
		t.Error("another frame comes out")
	}
	f.Release()
}

func TestTransformRefuses(t *testing.T) {
	pool := newPool(t)
	r := NewTransformer(pool, Transform{Mirror: true})
	r.Close()
	r.Close()
	for name, f := range map[string]*capture.Frame{
		"short":        frameOf(pool, formatOf(capture.YUYV, 8, 8), make([]byte, 127)),
		"compressed":   frameOf(pool, formatOf(capture.MJPEG, 8, 8), make([]byte, 128)),
		"after Close":  frameOf(pool, formatOf(capture.RGB24, 8, 8), make([]byte, 192)),
		"without size": frameOf(pool, formatOf(capture.YUYV, 0, 8), nil),
	} {
		if g, err := r.Apply(f); err == nil || g != nil {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
}

func TestCropOutside(t *testing.T) {
	in := formatOf(capture.YUYV, 640, 480)
	for _, tt := range []struct {
		crop    image.Rectangle
		message string
	}{
		{image.Rectangle{}, ""},
		{image.Rect(0, 0, 640, 480), ""},
		{image.Rect(1, 1, 641, 480), "crop 640x479+1+1 is larger than the frame, which is 640x480: 639x479+1+1 is shown"},
		{image.Rect(640, 0, 700, 10), "crop 60x10+640+0 is outside of the frame, which is 640x480: it is not cropped"},
	} {
		err := Transform{Crop: tt.crop}.Check(in)
		if (err == nil) != (tt.message == "") || err != nil && err.Error() != tt.message {
			t.Errorf("%v: %v, want %q", tt.crop, err, tt.message)
		}
	}
}

func TestParseTransform(t *testing.T) {
	for text, want := range map[string]image.Rectangle{
		"1x2+3+4":             image.Rect(3, 4, 4, 6),
		"1280x720+0+0":        image.Rect(0, 0, 1280, 720),
		"":                    {},
		"0x1+0+0":             {},
		"1x0+0+0":             {},
		"10x10":               {},
		"10x10+1":             {},
		"10x10-1+1":           {},
		"10x10+1+1 ":          {},
		"10x10+1+1x":          {},
		"99999x1+0+0":         {},
		"1x1+0+0\n1x1+0+0":    {},
		"+1x+1+0+0":           {},
		"１x1+0+0":             {},
		"9999x9999+9999+9999": image.Rect(9999, 9999, 19998, 19998),
	} {
		got, err := ParseCrop(text)
		if (err != nil) != want.Empty() || err == nil && got != want {
			t.Errorf("crop %q: %v, %v", text, got, err)
		}
		if err == nil && formatGeometry(got) != text {
			t.Errorf("crop %q is written as %q", text, formatGeometry(got))
		}
	}
	for text, want := range map[string]int{"0": 0, "90": 90, "180": 180, "270": 270, "360": -1, "45": -1, "-90": -1, "": -1, "left": -1} {
		if got, err := ParseRotate(text); err == nil && got != want || (err != nil) != (want < 0) {
			t.Errorf("rotation %q: %d, %v", text, got, err)
		}
	}
	for _, fit := range []Fit{FitContain, FitCrop, FitStretch} {
		if got, err := ParseFit(fit.String()); got != fit || err != nil {
			t.Errorf("fit %v: %v, %v", fit, got, err)
		}
	}
	if _, err := ParseFit("cover"); err == nil || !strings.Contains(err.Error(), "contain, crop, stretch") {
		t.Errorf("fit cover: %v", err)
	}
}

func TestTransformAllocates(t *testing.T) {
	pool := newPool(t)
	r := NewTransformer(pool, Transform{Rotate: 90, Crop: image.Rect(1, 1, 30, 30)})
	defer r.Close()
	for _, pixel := range distinct() {
		f := frameOf(pool, formatOf(pixel, 65, 49), photo(formatOf(pixel, 65, 49)))
		var failed error
		if n := testing.AllocsPerRun(10, func() {
			g, err := r.Apply(f.Retain())
			if err == nil {
				g.Release()
			}
			failed = errors.Join(failed, err)
		}); n != 0 || failed != nil {
			t.Errorf("%v: %v allocations, %v", pixel, n, failed)
		}
		f.Release()
	}
}

func BenchmarkTransform(b *testing.B) {
	for name, tr := range map[string]Transform{
		"90":     {Rotate: 90},
		"180":    {Rotate: 180},
		"mirror": {Mirror: true},
	} {
		for _, pixel := range []capture.PixelFormat{capture.YUV422P, capture.YUV420} {
			b.Run(name+"/"+pixel.String()+"/1080p", func(b *testing.B) {
				pool := newPool(b)
				format := formatOf(pixel, 1920, 1080)
				f := frameOf(pool, format, make([]byte, format.Size()))
				defer f.Release()
				r := NewTransformer(pool, tr)
				defer r.Close()
				for b.Loop() {
					g, err := r.Apply(f.Retain())
					if err != nil {
						b.Fatal(err)
					}
					g.Release()
				}
			})
		}
	}
}
