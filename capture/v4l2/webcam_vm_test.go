//go:build vm

package v4l2

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// webcamMode is the only one of the webcam made of files.
var webcamMode = capture.Mode{Pixel: capture.MJPEG, Width: 320, Height: 240, Rate: capture.Rate{Num: 15, Den: 1}}

// writeJPEGs makes frames of different lengths and returns their bytes.
func writeJPEGs(t *testing.T, dir string) (frames [][]byte) {
	t.Helper()
	for n := range 6 {
		frame := image.NewGray(image.Rect(0, 0, 320, 240))
		for i := range frame.Pix {
			frame.SetGray(i%320, i/320, color.Gray{Y: uint8(i / (n + 1))})
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, frame, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+".jpg"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, b.Bytes())
	}
	return frames
}

// plugIn starts fixtures/uvcgadget, a USB webcam made of files.
func plugIn(t *testing.T, frames string) (unplug func()) {
	t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv("TBCAM_BIN"), "uvcgadget"), "-frames", frames, "-name", "My webcam")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("$TBCAM_BIN must be where fixtures/uvcgadget was built: %v", err)
	}
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// await finds the webcam, waiting for it by Watch alone.
func await(t *testing.T, changes <-chan struct{}, find func() (capture.Device, error)) capture.Device {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		c, err := find()
		if err == nil {
			return c
		}
		if !errors.Is(err, capture.ErrNoCamera) {
			t.Fatal(err)
		}
		select {
		case <-changes:
		case <-timeout:
			t.Fatal(err)
		}
	}
}

func TestUSBWebcam(t *testing.T) {
	vm.LoadUSB(t)
	dir := t.TempDir()
	frames := writeJPEGs(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes, err := driver.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}

	unplug := plugIn(t, dir)
	first := await(t, changes, func() (capture.Device, error) { return driver.Find("my webcam") })
	if cameras, err := driver.Devices(); err != nil || len(cameras) != 1 || cameras[0].Driver != "uvcvideo" {
		t.Errorf("beside the webcam, whose metadata node is none: %v, %v", cameras, err)
	}
	if len(first.Modes) != 1 || first.Modes[0] != webcamMode {
		t.Errorf("modes %v, want %v", first.Modes, webcamMode)
	}
	s := start(t, first.Path, webcamMode)
	for range 10 {
		checkFrame(t, next(t, s), frames)
	}
	t.Logf("lost %+v", s.Lost())

	unplug()
	gone := readToTheEnd(s)
	if !errors.Is(gone, capture.ErrGone) {
		t.Errorf("Read ended with %v", gone)
	}
	t.Log(gone)

	// The old node is still open, so its number is not free.
	t.Cleanup(plugIn(t, dir))
	again := await(t, changes, func() (capture.Device, error) { return driver.FindAgain(first) })
	t.Logf("%s was %s", again.Path, first.Path)
	checkFrame(t, next(t, start(t, again.Path, webcamMode)), frames)
}

func checkFrame(t *testing.T, f *capture.Frame, frames [][]byte) {
	t.Helper()
	for _, p := range frames {
		if bytes.Equal(f.Data, p) {
			return
		}
	}
	t.Errorf("%d bytes that no frame has", len(f.Data))
}
