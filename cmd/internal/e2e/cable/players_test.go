//go:build cable

package cable

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// inStep is how many frames a player must show one by one.
const inStep = 20

// wantInStep shows frames at the camera, each when the one before has been seen
// at the other end: so all arrive, and none is late by a frame.
func wantInStep(t *testing.T, camera *patternCamera, g *gallery) {
	t.Helper()
	seen := g.counters
	// Players want some frames before they show any.
	harness.WaitUntil(t, "the first frame", func() bool { camera.show(t); return len(seen()) > 0 })
	var want []uint32
	for range inStep {
		n := camera.show(t)
		want = append(want, n)
		harness.WaitUntil(t, fmt.Sprintf("frame %d", n), func() bool { all := seen(); return all[len(all)-1] >= n })
	}
	if got := seen(); !slices.Equal(got[max(0, len(got)-inStep):], want) {
		t.Errorf("seen were %v, shown %v", got, want)
	}
	if g.err != nil {
		t.Error(g.err)
	}
}

// TestPlayersOverTheCable: programs that know nothing of tbcam show what it sends,
// and tbcam-view what they send.
func TestPlayersOverTheCable(t *testing.T) {
	t.Parallel() // beside TestVideoOverTheCable, on another stream
	for name, player := range map[string]string{
		"to ffmpeg":    "ffmpeg -v error -threads 1 -f mjpeg -probesize 20000 -analyzeduration 0 -i %s -threads 1 -fps_mode passthrough -f rawvideo -pix_fmt gray -flush_packets 1 -",
		"to gstreamer": "gst-launch-1.0 -q filesrc location=%s ! jpegdec ! videoconvert ! video/x-raw,format=GRAY8 ! fdsink fd=1 sync=false",
	} {
		t.Run(name, func(t *testing.T) {
			camera := newPatternCamera(t, vm.LoadLoopback(t))
			g := &gallery{}
			reader := play(t, fmt.Sprintf(player, theCable.viewer), g)
			// Packets that come during its open(2) would hold back others indefinitely.
			harness.WaitUntil(t, "the player to open the stream", func() bool { return holds(reader, theCable.viewer) })
			harness.Start(t, nil, "tbcam-send", "--wire=mjpeg", "--allow-unpaired", "--camera="+camera.path, "--stream="+theCable.sender)
			wantInStep(t, camera, g)
		})
	}
	t.Run("from gstreamer", func(t *testing.T) {
		nodes := vm.Load(t, "v4l2loopback", "devices=2", "exclusive_caps=1,1")
		camera := newPatternCamera(t, nodes[0])
		v := harness.StartViewer(t, "--stream="+theCable.viewer, "--allow-unpaired", "--virtual-camera="+nodes[1], "--virtual-camera-size=160x120")
		harness.WaitUntil(t, "the viewer to open the stream", func() bool { return holds(v.Cmd, theCable.viewer) })
		play(t, fmt.Sprintf(gstSender, camera.path, theCable.sender), nil)
		wantInStep(t, camera, watchCamera(t, nodes[1]))
	})
}

// holds reports whether a program has a file open.
func holds(p *exec.Cmd, path string) bool {
	descriptors, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Process.Pid))
	return slices.ContainsFunc(descriptors, func(d string) bool {
		target, err := os.Readlink(d)
		return err == nil && target == path
	})
}

// watchCamera reads the frames of a virtual camera, as soon as it is one. It
// passes over what a virtual camera adds: its placeholder, and repeated frames.
func watchCamera(t *testing.T, path string) *gallery {
	g := &gallery{}
	var watching sync.WaitGroup
	closed := make(chan struct{})
	t.Cleanup(func() { close(closed); watching.Wait() })
	watching.Go(func() {
		source := openWhenThere(path, closed)
		if source == nil {
			return
		}
		defer source.Close()
		defer context.AfterFunc(t.Context(), func() { source.Close() })()
		for last := uint32(0); ; {
			f, err := source.Read()
			if err != nil {
				return
			}
			frame := lumaOf(f)
			if stamp, err := frame.stamp(); err == nil && stamp.Counter != last {
				last = stamp.Counter
				_, _ = g.Write(frame) // it has no error
			}
			f.Release()
		}
	})
	return g
}

// openWhenThere opens a camera as soon as it can be opened, or returns nil.
func openWhenThere(path string, closed <-chan struct{}) *v4l2.Source {
	for {
		if camera, err := v4l2.Describe(path); err == nil && len(camera.Modes) > 0 {
			if source, err := v4l2.Open(path, camera.Modes[0], &capture.Pool{}); err == nil {
				return source
			}
		}
		select {
		case <-closed:
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lumaOf returns the brightness of the samples of a YUYV or planar frame.
func lumaOf(f *capture.Frame) luma {
	if f.Format.Pixel != capture.YUYV {
		return f.Data[:cableWidth*cableHeight]
	}
	l := make(luma, cableWidth*cableHeight)
	for i := range l {
		l[i] = f.Data[2*i]
	}
	return l
}
