//go:build cable

package e2e

import (
	"image"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture/pattern"
)

// The two ends of the cable in the virtual machine, and what pulls it out.
const (
	senderEnd = "/dev/tbstream0"
	viewerEnd = "/dev/tbstream1"
	plug      = "/sys/kernel/debug/tbhost/plug"
)

// Pictures are small, because everything is slow there.
const cableWidth, cableHeight = 160, 120

func cableSender(t *testing.T) *program {
	return start(t, nil, "tbcam-send", "--camera=pattern", "--size=160x120", "--fps=5", "--stream="+senderEnd)
}

func cableViewer(t *testing.T, more ...string) *program {
	file := filepath.Join(t.TempDir(), "a.mkv")
	return viewer(t, "--stream="+viewerEnd, append(more, "--stats=json", "--record="+file)...)
}

// rounds is how often a test repeats its fault: CABLE_ROUNDS, or a few times.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CABLE_ROUNDS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// more waits until the viewer has got some more frames.
func more(t *testing.T, v *program) {
	t.Helper()
	before := frames(v)
	until(t, "more frames", func() bool { return frames(v) >= before+5 })
}

// TestVideoOverTheCable: every picture that came holds a counter, and none comes
// twice or late.
func TestVideoOverTheCable(t *testing.T) {
	const count = 150
	file := filepath.Join(t.TempDir(), "a.mkv")
	v := viewer(t, "--stream="+viewerEnd, "--record="+file, "--frames="+strconv.Itoa(count))
	cableSender(t)
	if code := v.code(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	raw, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	const size = cableWidth * cableHeight
	if len(raw) != count*size {
		t.Fatalf("%d pictures were recorded, want %d", len(raw)/size, count)
	}
	last := -1
	for i := range count {
		picture := raw[i*size:][:size]
		stamp, err := pattern.ReadLuma(image.Rect(0, 0, cableWidth, cableHeight), func(x, y int) byte { return picture[y*cableWidth+x] })
		if err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
		if int(stamp.Counter) <= last {
			t.Errorf("picture %d has counter %d, the one before %d", i, stamp.Counter, last)
		}
		last = int(stamp.Counter)
	}
	t.Logf("%d pictures, the last has counter %d", count, last)
}

// TestKillsOverTheCable: either program comes back after kill -9, whenever it is
// started again.
func TestKillsOverTheCable(t *testing.T) {
	v, s := cableViewer(t), cableSender(t)
	for range rounds(t) {
		more(t, v)
		if rand.IntN(2) == 0 {
			s.end(syscall.SIGKILL)
			s = cableSender(t)
			more(t, v)
		}
		v.end(syscall.SIGKILL)
		v = cableViewer(t)
	}
	more(t, v)
}

// TestUnplugsOverTheCable: the picture comes back with the cable, and neither
// program is restarted.
func TestUnplugsOverTheCable(t *testing.T) {
	v := cableViewer(t)
	cableSender(t)
	for range rounds(t) {
		more(t, v)
		set(t, plug, "0")
		v.says("waiting for the stream")
		set(t, plug, "1")
	}
	more(t, v)
}

// TestSetupOnConfigFS: what TestSetup does on a tree of files, on the kernel's.
func TestSetupOnConfigFS(t *testing.T) {
	const streams = "/sys/kernel/config/thunderbolt/stream/"
	sides := []struct{ program, host string }{{"tbcam-view", "1"}, {"tbcam-send", "0"}}
	run := func(name, host string, more ...string) *program {
		p := start(t, nil, name, append([]string{"setup", "--stream=second", "--service=" + service(t, host)}, more...)...)
		if code := p.code(); code != 0 {
			t.Fatalf("%s setup: exit code %d", name, code)
		}
		return p
	}
	for _, side := range sides {
		run(side.program, side.host)
		group := streams + service(t, side.host) + "/second/"
		for name, unwanted := range map[string]string{"in_hopid": "0", "out_hopid": "0", "ring_size": "256"} {
			if got := content(t, group+name); got == unwanted {
				t.Errorf("%s: %s is %s", side.program, name, got)
			}
		}
		if again := run(side.program, side.host); again.stdout.String() != "stream \"second\" is set up\n" {
			t.Errorf("%s, the second time: %q", side.program, again.stdout.String())
		}
	}
	for _, side := range sides {
		run(side.program, side.host, "--remove")
		if left, _ := filepath.Glob(streams + "*/second"); side.host == "0" && len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}

// service returns what a host calls the streams of the other one.
func service(t *testing.T, host string) string {
	t.Helper()
	keys, _ := filepath.Glob("/sys/bus/thunderbolt/devices/" + host + "-1.*/key")
	for _, key := range keys {
		if content(t, key) == "stream" {
			return filepath.Base(filepath.Dir(key))
		}
	}
	t.Fatalf("host %s sees no stream service", host)
	return ""
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func set(t *testing.T, path, value string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
