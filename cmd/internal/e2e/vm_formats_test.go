//go:build vm

package e2e

import (
	"fmt"
	"image"
	"os/exec"
	"slices"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestVividFormats: every format that tbcam knows and the driver has shows the same
// colour bars, with the single-planar and the multi-planar API.
func TestVividFormats(t *testing.T) {
	for _, multiplanar := range []int{1, 2} {
		t.Run(fmt.Sprint("multiplanar=", multiplanar), func(t *testing.T) {
			path := vm.Load(t, "vivid", "node_types=0x1", "num_inputs=1", "input_types=0", fmt.Sprint("multiplanar=", multiplanar))[0]
			if out, err := exec.Command("v4l2-ctl", "-d", path, "-c", "osd_text_mode=2").CombinedOutput(); err != nil {
				t.Fatalf("turn the text off: %v: %s", err, out)
			}
			camera, err := v4l2.Describe(path)
			if err != nil {
				t.Fatal(err)
			}
			want := captureRGBA(t, path, capture.RGB24)
			tried := 0
			for _, pixel := range capture.RawFormats() {
				if slices.ContainsFunc(camera.Modes, func(m capture.Mode) bool { return m.Pixel == pixel }) {
					compareBars(t, pixel, captureRGBA(t, path, pixel), want)
					tried++
				}
			}
			if tried < 20 {
				t.Errorf("only %d formats were there", tried)
			}
		})
	}
}

// captureRGBA returns a frame of the camera.
func captureRGBA(t *testing.T, path string, pixel capture.PixelFormat) *image.RGBA {
	t.Helper()
	pool := new(capture.Pool)
	mode := capture.Mode{Pixel: pixel, Width: 320, Height: 180, Rate: capture.Rate{Num: 30, Den: 1}}
	source, err := v4l2.Open(path, mode, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if source.Mode() != mode {
		t.Fatalf("%v was granted instead of %v", source.Mode(), mode)
	}
	frame, err := source.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer frame.Release()
	shown, err := codec.ToRGBA(frame)
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

// compareBars compares the middle of each of the eight bars; grey formats show its
// luma alone.
func compareBars(t *testing.T, pixel capture.PixelFormat, got, want *image.RGBA) {
	t.Helper()
	for bar := range 8 {
		at := image.Pt(20+40*bar, 60)
		g, w := got.RGBAAt(at.X, at.Y), want.RGBAAt(at.X, at.Y)
		if pixel.Info().Planar == capture.GREY {
			luma := uint8(0.299*float64(w.R) + 0.587*float64(w.G) + 0.114*float64(w.B) + 0.5)
			w.R, w.G, w.B = luma, luma, luma
		}
		for i, pair := range [][2]uint8{{g.R, w.R}, {g.G, w.G}, {g.B, w.B}} {
			if d := int(pair[0]) - int(pair[1]); d < -12 || d > 12 {
				t.Errorf("%v: bar %d is %v instead of %v (component %d)", pixel, bar, g, w, i)
				break
			}
		}
	}
}
