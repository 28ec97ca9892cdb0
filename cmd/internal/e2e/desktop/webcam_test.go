package desktop

import (
	"sync"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/pipewire"
)

// webcamName is the name of the camera that plugIn makes.
const webcamName = "webcam"

// plugIn gives the session a camera that is at PipeWire only, as MIPI cameras are. It
// shows the test pattern until it is unplugged, or the test ends.
func plugIn(t *testing.T) (unplug func()) {
	t.Helper()
	format := capture.Format{Pixel: capture.YUV420, Width: 320, Height: 240}
	rate := capture.Rate{Num: 15, Den: 1}
	out, err := pipewire.OpenOutput(pipewire.Camera{Name: webcamName, Description: "Webcam", Format: format, Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	var pool capture.Pool
	source, err := pattern.Open(capture.Mode{Pixel: format.Pixel, Width: format.Width, Height: format.Height, Rate: rate}, &pool)
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			f, err := source.Read()
			if err != nil {
				return // it was closed
			}
			if err := out.Write(f); err != nil {
				t.Errorf("the webcam: %v", err)
			}
			f.Release()
		}
	})
	unplug = sync.OnceFunc(func() {
		source.Close()
		writing.Wait()
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(unplug)
	return unplug
}
