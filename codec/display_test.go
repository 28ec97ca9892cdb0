package codec

import (
	"errors"
	"fmt"
	"image"
	"math"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

var displayed = []capture.PixelFormat{capture.YUV420, capture.YUV422P, capture.YUV444, capture.GREY}

// TestDisplayColours compares all colours of flat frames with the exact conversion, of
// the frame's size and of others.
func TestDisplayColours(t *testing.T) {
	var pool capture.Pool
	for _, pixel := range displayed {
		for _, matrix := range []capture.Matrix{capture.BT601, capture.BT709} {
			for _, rng := range []capture.Range{capture.Limited, capture.Full} {
				f := capture.Format{Pixel: pixel, Width: 34, Height: 3, Matrix: matrix, Range: rng}
				t.Run(fmt.Sprint(pixel, " matrix ", matrix, " range ", rng), func(t *testing.T) {
					worst := 0
					for y := 0; y < 256; y += 15 {
						for cb := 0; cb < 256; cb += 15 {
							for cr := 0; cr < 256; cr += 15 {
								worst = max(worst, displayError(t, flat(&pool, f, byte(y), byte(cb), byte(cr))))
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
	planes, n := f.Planes()
	for i, l := range planes[:n] {
		repeatPattern(fr.Data[l.Offset:][:l.Stride*l.Lines], []byte{y, cb, cr}[i])
	}
	return fr
}

// planesFor returns a planar frame as Display takes it.
func planesFor(f *capture.Frame) *Planes {
	p := &Planes{Format: f.Format}
	for i, v := range planesOf(f.Format, f.Data) {
		p.Data[i], p.Strides[i] = v.data, v.stride
	}
	return p
}

// displayError returns how far a flat frame is off at most, and releases it.
func displayError(t *testing.T, f *capture.Frame) int {
	t.Helper()
	defer f.Release()
	exact, err := ToRGBA(f)
	if err != nil {
		t.Fatal(err)
	}
	want := exact.RGBAAt(0, 0)
	var d Display
	worst := 0.0
	for _, size := range []image.Point{{34, 3}, {21, 2}, {50, 7}} {
		dst := newBGRA(size.X, size.Y)
		if err := d.Draw(dst, planesFor(f), upright(dst.Bounds())); err != nil {
			t.Fatal(err)
		}
		for i := range size.X * size.Y {
			got := dst.at(i%size.X, i/size.X)
			for c, w := range []byte{want.B, want.G, want.R, 255} {
				worst = max(worst, math.Abs(float64(got[c])-float64(w)))
			}
		}
	}
	return int(worst)
}

// newBGRA returns an image with lines of odd lengths, of a colour that is not drawn.
func newBGRA(width, height int) BGRA {
	m := BGRA{Stride: 4*width + 12, Width: width, Height: height}
	m.Pix = make([]byte, m.Stride*height)
	repeatPattern(m.Pix, 9, 9, 9, 9)
	return m
}

// upright is a frame as it comes, in a rectangle.
func upright(to image.Rectangle) Pose { return Pose{To: to, Brightness: 1} }

func (m BGRA) at(x, y int) [4]byte { return [4]byte(m.Pix[y*m.Stride+4*x:]) }

// ramp returns a full-range frame whose luma grows by step to the right and by down
// downwards, with neutral chroma: so each pixel is grey.
func ramp(t *testing.T, pixel capture.PixelFormat, width, height, step, down int) *Planes {
	t.Helper()
	f := capture.Format{Pixel: pixel, Width: width, Height: height, Range: capture.Full}
	fr := frameOf(newPool(t), f, nil)
	t.Cleanup(fr.Release)
	fr.Data = make([]byte, f.Size())
	repeatPattern(fr.Data, neutral)
	for i := range width * height {
		fr.Data[i] = byte(i%width*step + i/width*down)
	}
	return planesFor(fr)
}

// turnedAt returns where the pixel was that is seen at (x, y) of a frame that is
// turned: the definition.
func turnedAt(width, height int, turn Pose, x, y int) (int, int) {
	for q := turn.Quarters; q > 0; q-- { // what is at (x, y) after a quarter was at (y, h-1-x)
		h := height
		if q%2 == 0 {
			h = width
		}
		x, y = y, h-1-x
	}
	if turn.Mirrored {
		x = width - 1 - x
	}
	return x, y
}

// TestDisplayTurns compares every turn with its definition, on odd sizes.
func TestDisplayTurns(t *testing.T) {
	var d Display
	for _, pixel := range displayed {
		for _, size := range []image.Point{{8, 8}, {17, 5}, {1, 9}, {3, 1}} {
			src := ramp(t, pixel, size.X, size.Y, 3, 20)
			for quarters := range 4 {
				for _, mirrored := range []bool{false, true} {
					turn := Pose{Mirrored: mirrored, Quarters: quarters, Brightness: 1}
					dst := newBGRA(size.X, size.Y)
					if quarters%2 == 1 {
						dst = newBGRA(size.Y, size.X)
					}
					turn.To = dst.Bounds()
					if err := d.Draw(dst, src, turn); err != nil {
						t.Fatal(err)
					}
					for i := range dst.Width * dst.Height {
						x, y := turnedAt(size.X, size.Y, turn, i%dst.Width, i/dst.Width)
						want := byte(3*x + 20*y)
						if got := dst.at(i%dst.Width, i/dst.Width); got != [4]byte{want, want, want, 255} {
							t.Fatalf("%v %v, %+v: (%d, %d) is %v instead of %d", pixel, size, turn, i%dst.Width, i/dst.Width, got, want)
						}
					}
				}
			}
		}
	}
}

// TestDisplayPlaces: what is drawn is inside of its rectangle and of the image, and is
// where it belongs, to a pixel of the frame or of the screen, however much of it is seen.
func TestDisplayPlaces(t *testing.T) {
	const step = 4
	var d Display
	for _, to := range []image.Rectangle{
		image.Rect(0, 0, 54, 36), image.Rect(10, 5, 40, 25), image.Rect(0, 0, 60, 40), image.Rect(-7, 3, 53, 43),
		image.Rect(-400, -300, 560, 340), image.Rect(-900, -600, 60, 40), image.Rect(0, 0, 960, 640), image.Rect(50, 30, 70, 44),
	} {
		for _, pixel := range displayed {
			for name, src := range map[string]*Planes{"right": ramp(t, pixel, 60, 40, step, 0), "down": ramp(t, pixel, 60, 40, 0, step)} {
				dst := newBGRA(60, 40)
				if err := d.Draw(dst, src, upright(to)); err != nil {
					t.Fatal(err)
				}
				for i := range 60 * 40 {
					x, y := i%60, i/60
					got := dst.at(x, y)
					if !image.Pt(x, y).In(to) {
						if got != [4]byte{9, 9, 9, 9} {
							t.Fatalf("%v: (%d, %d) outside of it is drawn", to, x, y)
						}
						continue
					}
					want := step * ((float64(x-to.Min.X)+0.5)*60/float64(to.Dx()) - 0.5)
					if name == "down" {
						want = step * ((float64(y-to.Min.Y)+0.5)*40/float64(to.Dy()) - 0.5)
					}
					if math.Abs(float64(got[0])-want) > step*max(1, 60/float64(to.Dx())) {
						t.Fatalf("%v of %v, %s: (%d, %d) is %v instead of %v", to, pixel, name, x, y, got, want)
					}
				}
			}
		}
	}
	dst := newBGRA(60, 40)
	if err := d.Draw(dst, ramp(t, capture.GREY, 8, 8, 1, 1), upright(image.Rect(70, 0, 80, 10))); err != nil {
		t.Errorf("outside: %v", err)
	}
}

// TestDisplayBrightness: a dimmed frame is a part of a bright one, whatever its range.
func TestDisplayBrightness(t *testing.T) {
	var pool capture.Pool
	var d Display
	for _, rng := range []capture.Range{capture.Limited, capture.Full} {
		f := flat(&pool, capture.Format{Pixel: capture.YUV420, Width: 4, Height: 4, Range: rng}, 150, 100, 140)
		bright, dim := newBGRA(4, 4), newBGRA(4, 4)
		pose := upright(bright.Bounds())
		err := d.Draw(bright, planesFor(f), pose)
		pose.Brightness = 0.3
		if err := errors.Join(err, d.Draw(dim, planesFor(f), pose)); err != nil {
			t.Fatal(err)
		}
		f.Release()
		for c := range 3 {
			if b, d := float64(bright.at(1, 1)[c]), float64(dim.at(1, 1)[c]); math.Abs(0.3*b-d) > 1 {
				t.Errorf("range %v: %v becomes %v", rng, b, d)
			}
		}
	}
}

func TestDisplayRefuses(t *testing.T) {
	var d Display
	good, dst := ramp(t, capture.YUV420, 8, 8, 1, 1), newBGRA(8, 8)
	short, packed := *good, *good
	short.Data[2] = short.Data[2][:15]
	packed.Format.Pixel = capture.YUYV
	for _, bad := range []*Planes{{}, &short, &packed} {
		if d.Draw(dst, bad, upright(dst.Bounds())) == nil {
			t.Errorf("%v is drawn", bad.Format)
		}
	}
	for _, bad := range []BGRA{{}, {make([]byte, 255), 32, 8, 8}, {make([]byte, 256), 31, 8, 8}} {
		if d.Draw(bad, good, upright(image.Rect(0, 0, 8, 8))) == nil {
			t.Errorf("drawn to %d bytes for %dx%d", len(bad.Pix), bad.Width, bad.Height)
		}
	}
}

// BenchmarkDisplay: a frame of 1080p in a window of nine tenths, and as it is.
func BenchmarkDisplay(b *testing.B) {
	var pool capture.Pool
	f := flat(&pool, capture.Format{Pixel: capture.YUV422P, Width: 1920, Height: 1080, Range: capture.Full}, 100, 90, 150)
	defer f.Release()
	for name, dst := range map[string]BGRA{"scaled": newBGRA(1728, 972), "plain": newBGRA(1920, 1080)} {
		b.Run(name, func(b *testing.B) {
			var d Display
			for b.Loop() {
				if err := d.Draw(dst, planesFor(f), upright(dst.Bounds())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
