package mediadevices_test

import (
	"errors"
	"image"
	"image/color"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/mediadevices"
)

// fill returns an image of red pixels.
func fill(img interface {
	image.Image
	Set(x, y int, c color.Color)
}) image.Image {
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			img.Set(x, y, red)
		}
	}
	return img
}

// TestImages: each kind of image becomes a frame, packed, and only the part within its
// bounds.
func TestImages(t *testing.T) {
	chroma := func(ratio image.YCbCrSubsampleRatio) *image.YCbCr {
		img := image.NewYCbCr(image.Rect(0, 0, 6, 4), ratio)
		for i := range img.Y {
			img.Y[i] = byte(i)
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = byte(100+i), byte(200+i)
		}
		return img
	}
	for _, tt := range []struct {
		name   string
		img    image.Image
		jpeg   bool
		want   capture.Format
		sample [][2]int // offset and value
	}{
		{"4:2:0", chroma(image.YCbCrSubsampleRatio420), false, capture.Format{Pixel: capture.YUV420, Width: 6, Height: 4},
			[][2]int{{0, 0}, {23, 23}, {24, 100}, {29, 105}, {30, 200}, {35, 205}}},
		{"4:2:2 of a JPEG", chroma(image.YCbCrSubsampleRatio422), true, capture.Format{Pixel: capture.YUV422P, Width: 6, Height: 4, Range: capture.Full},
			[][2]int{{23, 23}, {24, 100}, {35, 111}, {36, 200}, {47, 211}}},
		{"4:4:4", chroma(image.YCbCrSubsampleRatio444), false, capture.Format{Pixel: capture.YUV444, Width: 6, Height: 4}, [][2]int{{24, 100}, {71, 223}}},
		{"a part", chroma(image.YCbCrSubsampleRatio420).SubImage(image.Rect(2, 2, 6, 4)), false, capture.Format{Pixel: capture.YUV420, Width: 4, Height: 2},
			[][2]int{{0, 14}, {3, 17}, {4, 20}, {7, 23}, {8, 104}, {9, 105}, {10, 204}}},
		{"grey", fill(image.NewGray(image.Rect(1, 1, 4, 3))), false, capture.Format{Pixel: capture.GREY, Width: 3, Height: 2}, [][2]int{{0, 76}, {5, 76}}},
		{"RGB", fill(image.NewNRGBA(image.Rect(1, 1, 4, 3))), false, capture.Format{Pixel: capture.RGBA32, Width: 3, Height: 2, Range: capture.Full},
			[][2]int{{0, 255}, {1, 0}, {20, 255}, {23, 255}}},
		{"4:4:0", chroma(image.YCbCrSubsampleRatio440), false, capture.Format{Pixel: capture.RGBA32, Width: 6, Height: 4, Range: capture.Full}, [][2]int{{3, 255}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testImage(t, tt.img, tt.jpeg, tt.want, tt.sample) })
		})
	}
}

func testImage(t *testing.T, img image.Image, jpeg bool, want capture.Format, samples [][2]int) {
	released := 0
	f := newFake(t, img)
	f.release = func() { released++ }
	if jpeg {
		f.modes = []prop.Media{media(frame.FormatMJPEG, 4, 2, 30)}
	}
	var pool capture.Pool
	s := openFake(t, &pool)
	got, err := s.Read()
	if err != nil || got.Format != want || s.Format() != want || len(got.Data) != want.Size() {
		t.Fatalf("%+v, %v; want %+v", got.Format, err, want)
	}
	for _, sample := range samples {
		if v := got.Data[sample[0]]; int(v) != sample[1] {
			t.Errorf("byte %d is %d, want %d", sample[0], v, sample[1])
		}
	}
	got.Release()
	if err := s.Close(); err != nil || released != 1 {
		t.Errorf("%v; the image was released %d times", err, released)
	}
	f.checkEnd(t, &pool)
}

// TestDamagedImages: what has not the bytes that it claims, or claims too much, is
// counted, and the next image is read.
func TestDamagedImages(t *testing.T) { synctest.Test(t, testDamagedImages) }

func testDamagedImages(t *testing.T) {
	short, narrow, offset := grey(4, 2, 1), grey(4, 2, 1), grey(4, 2, 1)
	short.Cr = short.Cr[:1]
	narrow.YStride = 3
	offset.Rect = image.Rect(-2, -2, 2, 0)
	offset.Y = nil
	huge := &image.YCbCr{Rect: image.Rect(0, 0, 1<<20, 1<<20), YStride: 1 << 20, CStride: 1 << 19, SubsampleRatio: image.YCbCrSubsampleRatio420}
	f := newFake(t, short, narrow, offset, huge, &image.YCbCr{}, image.NewNRGBA(image.Rectangle{}), grey(4, 2, 7))
	var pool capture.Pool
	s := openFake(t, &pool)
	got, err := s.Read()
	if err != nil || got.Data[0] != 7 || got.Sequence != 6 {
		t.Errorf("%v, %v", got, err)
	}
	got.Release()
	if lost := s.Lost(); lost.Damaged != 6 {
		t.Errorf("lost: %+v", lost)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	f.checkEnd(t, &pool)
}

// TestEnds: why a source ends: the driver has, or its images have another size.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		next func(*fake)
		want error
	}{
		{"end", func(f *fake) { close(f.images) }, capture.ErrGone},
		{"another size", func(f *fake) { f.images <- grey(8, 2, 1) }, capture.ErrSignalChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, grey(4, 2, 1))
			var pool capture.Pool
			s := openAndRead(t, &pool)
			tt.next(f)
			for range 2 {
				if _, err := s.Read(); !errors.Is(err, tt.want) {
					t.Errorf("it ends with %v, want %v", err, tt.want)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			f.checkEnd(t, &pool)
		})
	}
}

// TestNewestWins: images that came before they were read are superseded.
func TestNewestWins(t *testing.T) { synctest.Test(t, testNewestWins) }

func testNewestWins(t *testing.T) {
	f := newFake(t, grey(4, 2, 1), grey(4, 2, 2), grey(4, 2, 3))
	var pool capture.Pool
	s := openFake(t, &pool)
	synctest.Wait()
	got, err := s.Read()
	if err != nil || got.Data[0] != 3 || s.Lost() != (capture.Lost{Superseded: 2}) {
		t.Errorf("%v, %v; lost %+v", got, err, s.Lost())
	}
	got.Release()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	f.checkEnd(t, &pool)
}

// TestNoImage: a driver without images fails to open, and is closed.
func TestNoImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var pool capture.Pool
		d, device := findFake(t)
		if _, err := d.Open(device, capture.Mode{}, &pool); !errors.Is(err, capture.ErrNoSignal) {
			t.Errorf("open: %v", err)
		}
		f.checkEnd(t, &pool)
	})
}

// TestStuckDriver: a read that does not end delays Close for a bounded time.
func TestStuckDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, grey(4, 2, 1))
		f.stuck = make(chan struct{})
		var pool capture.Pool
		s := openAndRead(t, &pool)
		begin := time.Now()
		if err := s.Close(); !errors.Is(err, mediadevices.ErrStuck) || time.Since(begin) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		close(f.stuck) // or the goroutine would be left behind
		synctest.Wait()
		f.checkEnd(t, &pool)
	})
}
