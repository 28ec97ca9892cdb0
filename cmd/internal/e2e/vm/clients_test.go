//go:build vm

package vm

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// publish starts both programs, so that the pattern is to be read from a node, with
// flags of tbcam-view. With v4l2loopback 0.15 the pattern begins when it is read.
func publish(t *testing.T, node string, flags ...string) {
	t.Helper()
	flag, _ := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, append(flags, "--virtual-camera="+node, smallCamera, "--fps=5")...)
	v.WaitText("virtual camera is ready")
	sendSlowly(t, flag)
	untilCamera(t, node)
}

// untilCamera waits until applications take a node for a camera.
func untilCamera(t *testing.T, node string) {
	t.Helper()
	harness.WaitUntil(t, "a virtual camera", func() bool {
		return strings.Contains(harness.RunTool(t, "v4l2-ctl", "-d", node, "--info"), "Video Capture")
	})
}

// client reads the virtual camera and writes frames to a file, one after the
// other: grey ones unless step is how many bytes apart the luma of pixels is.
type client struct {
	file    string
	command []string
	step    int
}

// frames is how many each client reads, and enough how many of them have to be
// the camera's: before these there may be placeholders.
const (
	frames = 20
	enough = 6
)

func newClient(name, node, dir string) client {
	file, count := filepath.Join(dir, name), fmt.Sprint(frames)
	switch name {
	case "v4l2-ctl":
		return client{file, []string{name, "-d", node, "--stream-mmap", "--stream-count=" + count, "--stream-to=" + file}, 2}
	case "ffmpeg":
		return client{file, []string{name, "-v", "error", "-f", "v4l2", "-i", node, "-frames:v", count,
			"-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", file}, 1}
	case "gst-launch-1.0":
		return client{file, []string{name, "-q", "v4l2src", "device=" + node, "num-buffers=" + count, "!", "decodebin", "!",
			"videoconvert", "!", "video/x-raw,format=GRAY8", "!", "filesink", "location=" + file}, 1}
	case "opencv":
		return client{file, []string{"python3", "-c", readWithOpenCV, node, file, count}, 1}
	}
	panic(name)
}

const readWithOpenCV = `
import cv2, sys
camera = cv2.VideoCapture(sys.argv[1], cv2.CAP_V4L2)
with open(sys.argv[2], "wb") as file:
    for _ in range(int(sys.argv[3])):
        ok, frame = camera.read()
        assert ok, "no picture"
        file.write(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).tobytes())
`

// TestCallsClients: programs that people use read the frames of the far camera
// as they are taken, in every format that a virtual camera can have.
func TestCallsClients(t *testing.T) {
	for format, names := range map[string][]string{
		"yuyv":  {"v4l2-ctl", "ffmpeg", "gst-launch-1.0", "opencv", "chromium"},
		"yu12":  {"ffmpeg", "gst-launch-1.0"},
		"mjpeg": {"ffmpeg", "gst-launch-1.0"},
	} {
		t.Run(format, func(t *testing.T) {
			node := vm.LoadLoopback(t)
			publish(t, node, "--virtual-camera-format="+format)
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					if name == "chromium" {
						testChromium(t)
					} else {
						testClient(t, newClient(name, node, keepDir(t)), false)
					}
				})
			}
		})
	}
}

// TestCallsTransform: applications see the frame turned, also where JPEGs would
// pass untouched.
func TestCallsTransform(t *testing.T) {
	for _, format := range []string{"yuyv", "mjpeg"} {
		t.Run(format, func(t *testing.T) {
			node := vm.LoadLoopback(t)
			publish(t, node, "--virtual-camera-format="+format, "--rotate=180")
			testClient(t, newClient("ffmpeg", node, keepDir(t)), true)
		})
	}
}

// testClient has a client read frames, upside down if they are turned.
func testClient(t *testing.T, c client, turned bool) {
	begin := time.Now()
	harness.RunTool(t, c.command[0], c.command[1:]...)
	all, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("read after %v", time.Since(begin))
	checkStamps(t, begin, withoutNewestFirst(stamps(all, c.step, turned)))
}

// withoutNewestFirst drops a first frame that comes again in its place: v4l2loopback
// 0.15 may give a reader that starts the newest of its two buffers, and then both
// from the oldest on (seen as 1 0 1 2 3).
func withoutNewestFirst(found []pattern.Stamp) []pattern.Stamp {
	if len(found) > 2 && found[0].Counter == found[1].Counter+1 && found[2].Counter == found[0].Counter {
		return found[1:]
	}
	return found
}

// stamps reads the codes of the last frames of 320x240, back to one without: the
// first of v4l2loopback may be short, and then there may be placeholders.
func stamps(all []byte, step int, turned bool) (found []pattern.Stamp) {
	const width, height = 320, 240
	for end := len(all); end >= width*height*step; end -= width * height * step {
		frame := all[end-width*height*step : end]
		luma := func(x, y int) byte {
			at := y*width + x
			if turned {
				at = width*height - 1 - at
			}
			return frame[at*step]
		}
		stamp, err := pattern.ReadLuma(image.Rect(0, 0, width, height), luma)
		if err != nil {
			break
		}
		found = append(found, stamp)
	}
	slices.Reverse(found)
	return found
}

// checkStamps checks that the frames follow each other, and that the last of
// them was taken while they were read.
func checkStamps(t *testing.T, begin time.Time, all []pattern.Stamp) {
	t.Helper()
	var counters []uint32
	for _, s := range all {
		counters = append(counters, s.Counter)
	}
	distinct := slices.Compact(slices.Clone(counters))
	if !slices.IsSorted(counters) || len(counters) < enough || len(distinct) < 2 {
		t.Fatalf("the counters are %v", counters)
	}
	if age := begin.Sub(all[len(all)-1].Time); age > 0 {
		t.Errorf("the last frame was taken %v before", age)
	}
	t.Logf("counters %v", counters)
}

// chromiumPatience is for its start under emulation.
const chromiumPatience = 150 * time.Second

// testChromium tries twice: on a busy host Chromium's network service may not start in
// the time that it gives it, and what the page sends then is lost.
func testChromium(t *testing.T) {
	begin := time.Now()
	all := watchInChromium(t)
	if len(all) < enough {
		t.Logf("retried once: the page saw %d frames in %v", len(all), chromiumPatience)
		begin = time.Now()
		all = watchInChromium(t)
	}
	t.Logf("seen after %v", time.Since(begin))
	checkStamps(t, begin, all)
}

// watchInChromium returns the codes of the frames that a page saw, enough of them if it
// saw them in time.
func watchInChromium(t *testing.T) (all []pattern.Stamp) {
	t.Helper()
	page := harness.ServePage(t)
	defer browse(t, page.URL)()
	for end := time.Now().Add(chromiumPatience); len(all) < enough && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		frames, failed := page.Take()
		if failed != "" {
			t.Fatalf("the page saw %d frames, then %q", len(all), failed)
		}
		for _, f := range frames {
			if f.Label != "tbcam" || f.Width != 320 || f.Height != 240 {
				t.Fatalf("the page sees %q, %dx%d", f.Label, f.Width, f.Height)
			}
			stamp, err := f.Stamp()
			if err != nil {
				t.Logf("the page sees %s", f.Code)
				continue
			}
			all = append(all, stamp)
		}
	}
	return all
}

// browse opens a page in Chromium, which the caller ends.
func browse(t *testing.T, url string) (end func()) {
	t.Helper()
	var log harness.Output
	browser := exec.Command("chromium", "--headless", "--no-sandbox", "--use-fake-ui-for-media-stream", url)
	browser.Stderr = &log
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = browser.Process.Signal(syscall.SIGTERM) // it ends its children
		_ = browser.Wait()
		harness.WaitUntil(t, "Chromium's end", func() bool { return !runs("chromium") })
		if t.Failed() {
			t.Log(harness.Tail(log.String()))
		}
	}
}

// runs reports whether there is a process of that name.
func runs(name string) bool {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	return slices.ContainsFunc(names, func(file string) bool {
		comm, _ := os.ReadFile(file) // it may have ended
		return strings.TrimSpace(string(comm)) == name
	})
}

// failure matches a test of v4l2-compliance that failed.
var failure = regexp.MustCompile(`(?m)^\s*test (.*): FAIL$`)

// complaints returns the tests of v4l2-compliance that a node fails.
func complaints(t *testing.T, node string) []string {
	t.Helper()
	var out bytes.Buffer
	c := exec.Command("v4l2-compliance", "-d", node, "-s", "3")
	c.Stdout = &out
	_ = c.Run() // its exit code is that some failed
	if !strings.Contains(out.String(), "Total for ") {
		t.Fatalf("v4l2-compliance did not come to its end:\n%s", &out)
	}
	var failed []string
	for _, m := range failure.FindAllStringSubmatch(out.String(), -1) {
		failed = append(failed, m[1])
	}
	return failed
}

// TestCallsCompliance: v4l2-compliance finds no fault in the virtual camera that
// is not v4l2loopback's own: those it also finds while FFmpeg writes.
func TestCallsCompliance(t *testing.T) {
	var own, ours []string
	t.Run("ffmpeg", func(t *testing.T) {
		node := vm.LoadLoopback(t)
		writer := background(t, "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=5",
			"-pix_fmt", "yuyv422", "-f", "v4l2", node)
		defer finish(writer)
		untilCamera(t, node)
		own = complaints(t, node)
	})
	t.Run("tbcam-view", func(t *testing.T) {
		node := vm.LoadLoopback(t)
		publish(t, node)
		ours = complaints(t, node)
	})
	t.Logf("v4l2loopback fails %q", own)
	for _, test := range ours {
		if !slices.Contains(own, test) {
			t.Errorf("the virtual camera fails %q", test)
		}
	}
}
