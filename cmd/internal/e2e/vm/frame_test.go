//go:build vm

package vm

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestFrameOfVivid: what vivid shows is what applications read from the virtual
// camera, and what is recorded at the same time.
func TestFrameOfVivid(t *testing.T) {
	camera, node := vm.LoadVivid(t, 1)[0], vm.LoadLoopback(t)
	holdStill(t, camera, colourSquares)
	trace(t, camera)
	for _, format := range []string{"yuyv", "nv12"} {
		for _, codec := range []string{"raw", "jpeg"} {
			t.Run(format+" "+codec, func(t *testing.T) { testFrame(t, camera, node, format, codec) })
		}
	}
}

func testFrame(t *testing.T, camera, node, format, codec string) {
	source := read(t, camera, vividSize(format), v4l2Mode(strings.ToUpper(format))...)
	published, publish := source, "yuyv"
	if format == "nv12" {
		published, publish = planar(source), "yu12"
	}
	traced(t) // forget the reading above

	flag, _ := harness.NewSocket(t)
	file := filepath.Join(keepDir(t), "a.mkv")
	v := harness.StartViewer(t, flag, "--stats=json", "--virtual-camera="+node, "--virtual-camera-format="+publish, "--virtual-camera-size=320x180", "--record="+file)
	s := harness.Start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera, "--format="+format, "--codec="+codec, "--quality=90")...)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 1 })
	checkFrame(t, "v4l2-ctl", read(t, node, len(published)), published, codec)
	checkFrame(t, "ffmpeg", readWithFFmpeg(t, node, len(published)), published, codec)
	interrupt(t, v, s)

	r := probe(t, file)
	if n := outcome(v, "recorded"); n != len(r.Packets) {
		t.Errorf("%d frames are in the file, tbcam-view counts %d", len(r.Packets), n)
	}
	if codec == "raw" {
		checkRecorded(t, r, source)
	}
	checkTimes(t, r, traced(t))
}

func vividSize(format string) int {
	if format == "nv12" {
		return 320 * 180 * 3 / 2
	}
	return 320 * 180 * 2
}

// goodJPEG is the PSNR in dB that a frame must keep through a JPEG of quality 90.
const goodJPEG = 35

func checkFrame(t *testing.T, by string, got, want []byte, codec string) {
	t.Helper()
	quality := psnr(got, want)
	t.Logf("%s: %.1f dB", by, quality)
	if codec == "raw" && !bytes.Equal(got, want) || quality < goodJPEG {
		t.Errorf("%s reads another frame than the camera's: %d bytes, PSNR %.1f dB", by, len(got), quality)
	}
}

// checkRecorded checks that every recorded frame is this one.
func checkRecorded(t *testing.T, r recording, want []byte) {
	t.Helper()
	for i, p := range r.Packets {
		if p.Hash != hash(want) {
			t.Errorf("recorded frame %d is not the camera's", i)
		}
	}
}

// checkTimes checks that a recording has the time stamps of frames that the
// kernel handed out, to the millisecond, and the time of the first.
func checkTimes(t *testing.T, r recording, kernel []time.Duration) {
	t.Helper()
	times := r.times(t)
	if times[0] != 0 || !slices.IsSorted(times) {
		t.Errorf("the recording's times are %v", times)
	}
	first := slices.IndexFunc(kernel, func(first time.Duration) bool { return contains(kernel, first, times) })
	if first < 0 {
		t.Fatalf("the recording's times are %v ms, the kernel's %v", times, kernel)
	}
	t.Logf("%d frames, the kernel handed out %d", len(times), len(kernel))
	// Only the clocks of two programs lie between these two.
	taken := bootTime(t).Add(kernel[first])
	if off := r.Format.Tags.Created.Sub(taken); off.Abs() > time.Second {
		t.Errorf("the recording begins at %v, its first frame was taken at %v", r.Format.Tags.Created, taken)
	}
}

// contains reports whether each of the times (ms) after the first stamp is that of
// another stamp.
func contains(stamps []time.Duration, first time.Duration, times []int64) bool {
	since := make(map[int64]bool)
	for _, stamp := range stamps {
		since[(stamp - first).Round(time.Millisecond).Milliseconds()] = true
	}
	return !slices.ContainsFunc(times, func(at int64) bool { return !since[at] })
}

// bootTime returns when CLOCK_MONOTONIC was zero.
func bootTime(t *testing.T) time.Time {
	t.Helper()
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(uptime))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(-time.Duration(seconds * float64(time.Second)))
}
