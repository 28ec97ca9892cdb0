//go:build vm

package vm

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestSeveralCameras: vivid and the USB webcam are recorded at a time over one stream.
// While the webcam is unplugged vivid goes on, and plugged in again it comes back.
func TestSeveralCameras(t *testing.T) {
	vm.LoadUSB(t)
	dir := t.TempDir()
	whole := writeWebcamJPEGs(t, dir)
	gadget := plugIn(t, dir)
	camera := vm.LoadVivid(t, 1)[0]

	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+camera, "--camera="+webcam)
	file := filepath.Join(keepDir(t), "webcam.mkv")
	steady := harness.StartViewer(t, flag, append(vividMode, "--camera="+camera, "--stats=json", "--record="+filepath.Join(keepDir(t), "vivid.mkv"))...)
	harness.WaitUntil(t, "frames of vivid", func() bool { return harness.CountFrames(steady) > 0 })
	unplugged := harness.StartViewer(t, flag, "--camera="+webcam, "--stats=json", "--record="+file)
	harness.WaitUntil(t, "every frame of the webcam", func() bool { return harness.CountFrames(unplugged) > 2*len(whole) })

	gadget.Stop(syscall.SIGTERM)
	unplugged.WaitText("no picture")
	before := harness.CountFrames(steady)
	harness.WaitUntil(t, "frames of vivid meanwhile", func() bool { return harness.CountFrames(steady) > before+10 })
	before = harness.CountFrames(unplugged)
	plugIn(t, dir)
	harness.WaitUntil(t, "frames of the webcam that is back", func() bool { return harness.CountFrames(unplugged) > before+len(whole) })
	interrupt(t, unplugged, steady, s)
	for i, p := range probe(t, file).Packets {
		if !slices.ContainsFunc(whole, func(data []byte) bool { return p.Hash == hash(data) }) {
			t.Errorf("frame %d is none that the webcam sent", i)
		}
	}
}
