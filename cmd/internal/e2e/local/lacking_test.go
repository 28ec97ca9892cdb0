package local

import (
	"bytes"
	"image"
	"image/jpeg"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// TestFarSideLacks: a viewer that asks for what the far side lacks ends with the exit
// code of that and one line, and the next one is served.
func TestFarSideLacks(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	s := harness.StartSender(t, flag)
	for _, c := range []struct {
		camera, mode string
		code         int
		message      string
	}{
		{"nobody's", "", 3, "no such camera"},
		{"/dev/video99", "", 3, "no such camera"},
		{"pattern", "--size=333x222", 5, "camera does not offer"},
		{"pattern", "--fps=7", 5, "nearest"},
		{"pattern", "--size=320x240", 0, ""},
	} {
		args := []string{"--snapshot=" + filepath.Join(t.TempDir(), "a.png"), "--camera=" + c.camera}
		v := harness.StartViewer(t, flag, append(args, strings.Fields(c.mode)...)...)
		if code := v.WaitExit(); code != c.code {
			t.Errorf("%s %s: exit code %d, want %d", c.camera, c.mode, code, c.code)
		}
		text := v.Err.String()
		if c.message != "" && (strings.Count(text, c.message) != 1 || !strings.HasPrefix(lastLine(text), "tbcam-view: ")) {
			t.Errorf("%s %s: got %q, want %q once", c.camera, c.mode, text, c.message)
		}
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// lastLine returns the last line of a text.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestModeThatIsRefused: the camera that runs is left alone, and so is the want that
// the next session asks for.
func TestModeThatIsRefused(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	s := harness.StartSender(t, flag)
	v.WaitText("camera is on")
	for _, c := range []struct {
		want    string
		code    int
		message string
	}{
		{"--size=333x222", 5, "camera does not offer"},
		{"--camera=nobody's", 3, "no such camera"},
		{"--fps=30", 0, "yuyv 320x240 30 fps"},
	} {
		m := harness.Start(t, nil, "tbcam-view", "mode", flag, c.want)
		if code := m.WaitExit(); code != c.code || !strings.Contains(m.Out.String()+m.Err.String(), c.message) {
			t.Errorf("mode %s: exit code %d, want %d and %q", c.want, code, c.code, c.message)
		}
	}
	if text := s.Err.String(); strings.Count(text, "camera is on") != 1 || strings.Contains(text, "camera is off") {
		t.Errorf("the camera was not left alone: %s", text)
	}
	s.Stop(syscall.SIGKILL)
	v.WaitText("lost the connection to the sender")
	s = harness.StartSender(t, flag)
	s.WaitText("camera is on")
	if code := v.Stop(syscall.SIGTERM); code != 0 || strings.Contains(s.Err.String(), "no such") {
		t.Errorf("exit code %d; the next session asked for what was refused", code)
	}
}

// TestTimeout bounds what waits for a sender that is not there.
func TestTimeout(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	const timeout = "--timeout=500ms"
	for _, args := range [][]string{{"list", timeout}, {"--snapshot=" + filepath.Join(t.TempDir(), "a.png"), timeout}, {"mode", "--fps=30", timeout}} {
		if args[0] == "mode" {
			harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv")).WaitText("waiting for tbcam-send")
		}
		begin := time.Now()
		v := harness.Start(t, nil, "tbcam-view", append(args, flag)...)
		code, took := v.WaitExit(), time.Since(begin)
		if code != 1 || took < 500*time.Millisecond || took > 2*time.Second || !strings.Contains(v.Err.String(), "timed out after 500ms") {
			t.Errorf("%v: exit code %d after %v", args, code, took)
		}
	}
}

// jpegMode describes JPEGs of 64 x 64 pixels.
var jpegMode = transport.Mode{
	Number: 1, Camera: "broken",
	Source: capture.Mode{Pixel: capture.MJPEG, Width: 64, Height: 64, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.MJPEG, Width: 64, Height: 64, Range: capture.Full},
}

// TestNothingDecodable: that no frame can be shown is reported once, in the log and
// in the window, with the cause; and a snapshot is taken when one can.
func TestNothingDecodable(t *testing.T) {
	var good bytes.Buffer
	if err := jpeg.Encode(&good, image.NewGray(image.Rect(0, 0, 64, 64)), nil); err != nil {
		t.Fatal(err)
	}
	display := xvfb.Start(t)
	flag, path := harness.NewSocket(t)
	v := harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--window", "--snapshot="+filepath.Join(t.TempDir(), "a.png"))
	p := offer(t, path)
	if err := p.WriteMessage(wire.Mode, hostile.Stream, jpegMode); err != nil {
		t.Fatal(err)
	}
	go p.Drain()
	next := uint64(0)
	send := func(data []byte) {
		t.Helper()
		head := wire.FrameHeader{Index: next, Sequence: uint32(next), Mode: 1, Captured: p.Now()}
		if err := p.WriteFrame(head, data); err != nil {
			t.Fatal(err)
		}
		next++
		time.Sleep(100 * time.Millisecond)
	}
	const warning = "nothing to show (err: no frame can be decoded: "
	begin := time.Now()
	for !strings.Contains(v.Err.String(), warning) {
		send([]byte("\xff\xd8 this is no JPEG \xff\xd9"))
		if time.Since(begin) > harness.Patience {
			t.Fatal("nothing is reported")
		}
	}
	if after := time.Since(begin); after < 3*time.Second || after > 5*time.Second {
		t.Errorf("it is reported after %v", after)
	}
	harness.WaitUntil(t, "a message in the window", func() bool { return bright(display.Screenshot(t), windowBounds(t, display)) })
	golden.Keep(t, "window-nothing-decodable", display.Screenshot(t))
	for range 10 {
		send([]byte("\xff\xd8 this is no JPEG \xff\xd9"))
	}
	if n := strings.Count(v.Err.String(), warning); n != 1 {
		t.Errorf("it is reported %d times", n)
	}
	send(good.Bytes())
	if code := v.WaitExit(); code != 0 || !strings.Contains(v.Err.String(), "frames are shown again") {
		t.Errorf("exit code %d", code)
	}
}

// bright reports whether there is text in a place of the screen.
func bright(screen image.Image, place image.Rectangle) bool {
	for y := place.Min.Y; y < place.Max.Y; y++ {
		for x := place.Min.X; x < place.Max.X; x++ {
			if r, g, b, _ := screen.At(x, y).RGBA(); min(r, g, b) > 0xc000 {
				return true
			}
		}
	}
	return false
}

// TestLossesReported: what a sender loses, or reports, while no frame comes is reported.
func TestLossesReported(t *testing.T) {
	flag, path := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--snapshot="+filepath.Join(t.TempDir(), "a.png"))
	p := offer(t, path)
	go p.Drain()
	status := func(m map[string]any) {
		t.Helper()
		if err := p.WriteMessage(wire.Status, hostile.Stream, m); err != nil {
			t.Fatal(err)
		}
	}
	lost := 0
	harness.WaitUntil(t, "a warning of what is lost", func() bool {
		lost++
		status(map[string]any{"state": "running", "lost": map[string]int{"damaged": lost}})
		time.Sleep(200 * time.Millisecond)
		return strings.Contains(v.Err.String(), "nothing to show (err: the sender drops all frames: ")
	})
	status(map[string]any{"state": "running", "text": "the lens \x1b[31mis covered"})
	v.WaitText("nothing to show (err: the lens \uFFFD[31mis covered)")
	if peak := hostile.PeakMemory(t, v.Process.Pid); peak > 600*hostile.MiB {
		t.Errorf("tbcam-view took %d MiB", peak/hostile.MiB)
	}
	if code := v.Stop(syscall.SIGTERM); code != 130 {
		t.Errorf("exit code %d", code)
	}
}
