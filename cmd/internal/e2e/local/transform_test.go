package local

import (
	"image"
	"image/color"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// reshaped shows a frame by the coordinates of the one it was made of.
type reshaped struct {
	image.Image
	size image.Point
	from func(x, y int) (int, int)
}

func (r reshaped) Bounds() image.Rectangle { return image.Rectangle{Max: r.size} }

func (r reshaped) At(x, y int) color.Color { return r.Image.At(r.from(x, y)) }

// TestTransform: snapshots are of the shape that was asked for, and what is
// recorded at the same time is the camera's frame.
func TestTransform(t *testing.T) {
	whole := image.Pt(320, 240)
	for _, c := range []struct {
		flags   string
		size    image.Point
		from    func(x, y int) (int, int) // where a pixel of the camera's frame went
		message string
	}{
		{"--rotate=90", image.Pt(240, 320), func(x, y int) (int, int) { return 239 - y, x }, ""},
		{"--rotate=270 --mirror", image.Pt(240, 320), func(x, y int) (int, int) { return 239 - y, 319 - x }, ""},
		{"--mirror", whole, func(x, y int) (int, int) { return 319 - x, y }, ""},
		{"--rotate=180 --crop=320x60+0+0", image.Pt(320, 60), func(x, y int) (int, int) { return 319 - x, 59 - y }, ""},
		{"--crop=100x100+320+0", whole, func(x, y int) (int, int) { return x, y }, "crop 100x100+320+0 is outside"},
	} {
		t.Run(c.flags, func(t *testing.T) {
			flag, _ := harness.NewSocket(t)
			snapshot, recording := filepath.Join(t.TempDir(), "a.png"), filepath.Join(t.TempDir(), "a.mkv")
			v := harness.StartViewer(t, flag, append(strings.Fields(c.flags), "--snapshot="+snapshot, "--record="+recording)...)
			harness.StartSender(t, flag)
			if code := v.WaitExit(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			if n := strings.Count(v.Err.String(), "tbcam-view: crop "); n != min(1, len(c.message)) || !strings.Contains(v.Err.String(), c.message) {
				t.Errorf("got %q; want %q, once", v.Err.String(), c.message)
			}
			img := golden.Read(t, snapshot)
			if size := img.Bounds().Size(); size != c.size {
				t.Fatalf("the snapshot is %v, want %v", size, c.size)
			}
			readCode(t, "the snapshot", reshaped{img, whole, c.from})

			harness.RunTool(t, "ffmpeg", "-v", "error", "-i", recording, "-frames:v", "1", recording+".png")
			readCode(t, "the recording", golden.Read(t, recording+".png"))
		})
	}
}

// TestTransformInWindow: the window shows the frame on its side.
func TestTransformInWindow(t *testing.T) {
	display := xvfb.Start(t)
	flag, _ := harness.NewSocket(t)
	harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--rotate=270")
	harness.StartSender(t, flag)
	harness.WaitUntil(t, "a turned code on the screen", func() bool {
		at := windowBounds(t, display)
		turnedBack := reshaped{display.Screenshot(t), image.Pt(at.Dy(), at.Dx()), func(x, y int) (int, int) {
			return at.Min.X + y, at.Max.Y - 1 - x
		}}
		_, err := pattern.ReadImage(turnedBack, turnedBack.Bounds())
		return err == nil && at.Dy() > at.Dx()
	})
	golden.Keep(t, "turned", display.Screenshot(t))
}

func readCode(t *testing.T, what string, img image.Image) {
	t.Helper()
	if _, err := pattern.ReadImage(img, img.Bounds()); err != nil {
		t.Errorf("%s, %v: %v", what, img.Bounds().Size(), err)
	}
}
