//go:build vm

package vm

import (
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestVividFormats: every format that tbcam knows and the driver has shows the same
// colour bars, with the single-planar and the multi-planar API.
func TestVividFormats(t *testing.T) {
	for _, multiplanar := range []int{1, 2} {
		t.Run(fmt.Sprint("multiplanar=", multiplanar), func(t *testing.T) {
			path := vm.Load(t, "vivid", "node_types=0x1", "num_inputs=1", "input_types=0", fmt.Sprint("multiplanar=", multiplanar))[0]
			harness.RunTool(t, "v4l2-ctl", "-d", path, "-c", "osd_text_mode=2")
			want := captureRGBA(t, path, capture.RGB24)
			tried := 0
			for _, pixel := range capture.RawFormats() {
				if got := captureRGBA(t, path, pixel); got != nil {
					compareBars(t, pixel, got, want)
					tried++
				}
			}
			if want == nil || tried < 20 {
				t.Errorf("only %d formats were there", tried)
			}
		})
	}
}

// TestGrabber: the viewer learns that the signal is lost, and gets frames of the new
// size when it is back.
func TestGrabber(t *testing.T) {
	camera := vm.Load(t, "vivid", "node_types=0x1", "num_inputs=2", "input_types=0xd")[0] // HDMI behind a tuner
	control := func(setting string) { harness.RunTool(t, "v4l2-ctl", "-d", camera, "-c", setting) }
	flag, _ := harness.NewSocket(t)
	dir := t.TempDir()
	harness.RunTool(t, "v4l2-ctl", "-d", camera, "-i", "1")
	control("dv_timings_signal_mode=4") // the timings of another control, by default the smallest
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+camera, "--input=hdmi", "--format=yuyv")
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+filepath.Join(dir, "a.mkv"))
	s.WaitText("640x480")
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 1 })
	control("dv_timings_signal_mode=1")
	v.WaitText("no signal")
	s.WaitText("no signal on input 1 HDMI")
	control("dv_timings=2,dv_timings_signal_mode=4")
	s.WaitText("720x480")
	before := harness.CountFrames(v)
	harness.WaitUntil(t, "frames of the new size", func() bool { return harness.CountFrames(v) > before+1 })
	if list := harness.Start(t, nil, "tbcam-send", "list"); list.WaitExit() != 0 || !strings.Contains(list.Out.String(), "input 1 HDMI") {
		t.Errorf("listed is\n%s", list.Out.String())
	}
}

// captureRGBA returns a frame of the camera, nil if it has not the format.
func captureRGBA(t *testing.T, path string, pixel capture.PixelFormat) *image.RGBA {
	t.Helper()
	pool := new(capture.Pool)
	mode := capture.Mode{Pixel: pixel, Width: 320, Height: 180, Rate: capture.Rate{Num: 30, Den: 1}}
	source, err := v4l2.Open(path, mode, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if source.Mode().Pixel != pixel {
		return nil
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
// luma alone, for which vivid takes BT.709.
func compareBars(t *testing.T, pixel capture.PixelFormat, got, want *image.RGBA) {
	t.Helper()
	for bar := range 8 {
		at := image.Pt(20+40*bar, 60)
		g, w := got.RGBAAt(at.X, at.Y), want.RGBAAt(at.X, at.Y)
		if pixel.Info().Planar == capture.GREY {
			luma := uint8(0.2126*float64(w.R) + 0.7152*float64(w.G) + 0.0722*float64(w.B) + 0.5)
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
