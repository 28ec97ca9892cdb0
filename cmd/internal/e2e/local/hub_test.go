package local

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// sharedLine is a line that several viewers share, each of which can be started again.
type sharedLine struct {
	t       *testing.T
	flag    string
	display *xvfb.Display
}

// startWindow starts a viewer with a window.
func (l *sharedLine) startWindow() *harness.Program {
	return harness.Start(l.t, []string{"DISPLAY=" + l.display.Name}, "tbcam-view", l.flag, "--window", "--stats=json")
}

// startRecording starts one that records.
func (l *sharedLine) startRecording() *harness.Program {
	return harness.StartRecordingViewer(l.t, l.flag)
}

// startSnapshots starts one that writes a frame now and then.
func (l *sharedLine) startSnapshots() *harness.Program {
	return harness.StartViewer(l.t, l.flag, "--snapshot="+filepath.Join(l.t.TempDir(), "%H%M%S.jpg"), "--snapshot-every=1s", "--skip=0", "--stats=json")
}

// TestViewersShareALine: a window, a recording and snapshots have one camera at a time.
// Whichever of them is killed, the others have frames again within the time that SPEC.md
// allows on a socket, and each gets in again.
func TestViewersShareALine(t *testing.T) {
	harness.IsolateDirs(t)
	l := &sharedLine{t: t, display: xvfb.Start(t)}
	l.flag, _ = harness.NewSocket(t)
	s := harness.StartSender(t, l.flag)
	start := []func() *harness.Program{l.startWindow, l.startRecording, l.startSnapshots}
	viewers := make([]*harness.Program, len(start))
	for i := range viewers {
		viewers[i] = start[i]()
		viewers[i].WaitText("camera is on")
	}
	for round := range 20 {
		victim := round % len(viewers)
		viewers[victim].Stop(syscall.SIGKILL)
		killed := time.Now()
		takeSnapshot(t, l.flag)
		// A second for the line, and what a program needs to start and to write an image.
		if took := time.Since(killed); took > 4*time.Second {
			t.Errorf("round %d: there is a frame after %v", round, took)
		}
		viewers[victim] = start[victim]()
		viewers[victim].WaitText("camera is on")
	}
	for i, v := range viewers {
		before := harness.CountFrames(v)
		harness.WaitUntil(t, fmt.Sprintf("frames of viewer %d", i), func() bool { return harness.CountFrames(v) > before+30 })
	}
	if text := s.Err.String(); strings.Contains(text, "camera is off") {
		t.Error("the camera was off in between")
	}
	for _, v := range viewers {
		if code := v.Stop(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "tbcam", "*.sock")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// takeSnapshot has another viewer take a frame, and reads the code in it.
func takeSnapshot(t *testing.T, flag string) {
	t.Helper()
	p := harness.StartViewer(t, flag, "--snapshot=-", "--skip=0")
	if code := p.WaitExit(); code != 0 {
		t.Fatalf("snapshot: exit code %d: %s", code, p.Err.String())
	}
	img, err := png.Decode(bytes.NewReader([]byte(p.Out.String())))
	if err == nil {
		_, err = pattern.ReadImage(img, img.Bounds())
	}
	if err != nil {
		t.Errorf("snapshot: %v", err)
	}
}

// TestRunningModeHolds: another viewer's mode is refused with its own exit code, unless
// it is left open; mode changes it for all.
func TestRunningModeHolds(t *testing.T) {
	harness.IsolateDirs(t)
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag)
	first := harness.StartRecordingViewer(t, flag, "--size=320x240")
	first.WaitText("camera is on")
	file := filepath.Join(t.TempDir(), "b.mkv")
	wantMistake(t, harness.StartViewer(t, flag, "--record="+file, "--size=640x480"), 5, "another viewer has the camera in yuyv 320x240")
	second := harness.StartRecordingViewer(t, flag)
	second.WaitText("camera is on")
	harness.WantAnswer(t, "Test pattern, yuyv 640x480 30 fps", flag, "mode", "--size=640x480")
	for _, v := range []*harness.Program{first, second} {
		v.WaitText("mode: yuyv 640x480 30 fps")
	}
}

// TestSeveralCameras: two viewers record two cameras over one line, each with a size, a
// rate, controls and figures of its own; every frame is of its camera, and later than the
// one before.
func TestSeveralCameras(t *testing.T) {
	harness.IsolateDirs(t)
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera=pattern", "--camera=pattern2", "--stats=json")
	cameras := []struct {
		name          string
		width, height int
		fps           int
		file          string
		viewer        *harness.Program
	}{{name: "pattern", width: 320, height: 240, fps: 30}, {name: "pattern2", width: 160, height: 120, fps: 15}}
	for i := range cameras {
		c := &cameras[i]
		c.file = filepath.Join(t.TempDir(), "a.mkv")
		c.viewer = harness.StartViewer(t, flag, "--camera="+c.name, fmt.Sprintf("--size=%dx%d", c.width, c.height), fmt.Sprintf("--fps=%d", c.fps),
			"--record="+c.file, "--stats=json")
		c.viewer.WaitText("camera is on")
	}
	for _, c := range cameras {
		harness.WaitUntil(t, "frames of "+c.name, func() bool { return harness.CountFrames(c.viewer) > 3*c.fps })
	}
	harness.WaitUntil(t, "figures of both", func() bool {
		return strings.Contains(s.Out.String(), `"camera":"Test pattern"`) && strings.Contains(s.Out.String(), `"camera":"Test pattern 2"`)
	})
	harness.WantAnswer(t, "brightness=9", flag, "control", "--camera=pattern2", "brightness=9")
	harness.WantAnswer(t, "brightness=0", flag, "control", "--camera=pattern", "brightness")
	harness.WantAnswer(t, "brightness=9", flag, "control", "--camera=Test pattern 2", "brightness")
	wantMistake(t, harness.Start(t, nil, "tbcam-view", "control", "--camera=other", "brightness", flag), 1, "is not shown by a tbcam-view")
	for i, c := range slices.Backward(cameras) { // the one that has the line last
		if code := c.viewer.Stop(syscall.SIGTERM); code != 0 {
			t.Errorf("%s: exit code %d", c.name, code)
		}
		wantStamps(t, c.file, c.width, c.height, i+1, 3*c.fps)
	}
}

// wantStamps checks the code of every frame of a recording: its camera, and that it
// is later than the one before.
func wantStamps(t *testing.T, file string, width, height, camera, least int) {
	t.Helper()
	luma := harness.RunTool(t, "ffmpeg", "-v", "error", "-i", file, "-f", "rawvideo", "-pix_fmt", "gray", "-fps_mode", "passthrough", "-")
	size := width * height
	if len(luma) < least*size || len(luma)%size != 0 {
		t.Fatalf("%s: %d bytes, want %d frames of %d", file, len(luma), least, size)
	}
	last := uint32(0)
	for n := 0; len(luma) > 0; n++ {
		frame := luma[:size]
		luma = luma[size:]
		stamp, err := pattern.ReadLuma(image.Rect(0, 0, width, height), func(x, y int) byte { return frame[y*width+x] })
		if err != nil || stamp.Camera != camera || n > 0 && stamp.Counter <= last {
			t.Errorf("%s: frame %d is %+v after number %d: %v", file, n, stamp, last, err)
		}
		last = stamp.Counter
	}
}
