//go:build cable

package cable

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// ends are the devices at the two ends of one stream in the virtual machine.
type ends struct{ sender, viewer string }

// theCable is the stream that fixtures/vm/tbcable sets up.
var theCable = ends{"/dev/tbstream0", "/dev/tbstream1"}

// Frames are small, because everything is slow there, and raw, so that each
// takes ten packets.
const cableWidth, cableHeight = 160, 120

func (e ends) send(t *testing.T, more ...string) *harness.Program {
	return harness.Start(t, nil, "tbcam-send", append([]string{"--camera=pattern", "--size=160x120", "--fps=5", "--codec=raw", "--stream=" + e.sender}, more...)...)
}

// watcher is a tbcam-view that records.
type watcher struct {
	*harness.Program
	file string
}

func (e ends) view(t *testing.T, more ...string) watcher {
	file := filepath.Join(t.TempDir(), "a.mkv")
	return watcher{harness.StartViewer(t, "--stream="+e.viewer, append(more, "--stats=json", "--record="+file)...), file}
}

// knob is a file by which fixtures/tbhost is controlled.
func knob(name string) string { return filepath.Join("/sys/kernel/debug/tbhost", name) }

// random returns a source of random numbers, whose seed is printed.
func random(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// rounds is how often a test repeats its fault: usual times, or CABLE_ROUNDS.
func rounds(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("CABLE_ROUNDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// more waits until the viewer has counted another frame since a number of them.
func (w watcher) more(t *testing.T, since int) {
	t.Helper()
	harness.WaitUntil(t, "more frames", func() bool { return harness.CountFrames(w.Program) > since })
}

// luma is a frame as the brightness of its samples, in full range.
type luma []byte

// stamp reads the code in a frame.
func (l luma) stamp() (pattern.Stamp, error) {
	return pattern.ReadLuma(image.Rect(0, 0, cableWidth, cableHeight), func(x, y int) byte { return l[y*cableWidth+x] })
}

// still are the parts of a frame that are the same in all: the colour bars above
// and below the moving block, without the corner that flashes.
func (l luma) still() []byte {
	const code, top, bottom = cableHeight / 4, cableHeight / 2, cableHeight/2 + cableHeight/8
	const flash = 12 // the part of width and height of the corner
	below := bytes.Clone(l[bottom*cableWidth:])
	for row := range cableHeight / flash {
		end := len(below) - row*cableWidth
		clear(below[end-cableWidth/flash : end])
	}
	return append(bytes.Clone(l[code*cableWidth:top*cableWidth]), below...)
}

// framesOf decodes recordings in the order in which they were made, also those
// that ended with kill -9.
func framesOf(t *testing.T, files ...string) []luma {
	t.Helper()
	var list strings.Builder
	for _, file := range files {
		// What was killed before its first frame was written has no more than a head.
		if info, err := os.Stat(file); err == nil && info.Size() > cableWidth*cableHeight/8 {
			fmt.Fprintf(&list, "file '%s'\n", file)
		}
	}
	name := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(name, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := harness.RunTool(t, "ffmpeg", "-v", "error", "-f", "concat", "-safe", "0", "-i", name, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
	var all []luma
	for rest := []byte(raw); len(rest) >= cableWidth*cableHeight; rest = rest[cableWidth*cableHeight:] {
		all = append(all, luma(rest[:cableWidth*cableHeight]))
	}
	return all
}

// wantFrames checks that every frame that was shown is one that was sent, and
// newer than the one before, and returns their codes. Those of raw frames must
// be right to the last sample.
func wantFrames(t *testing.T, watchers ...watcher) []pattern.Stamp {
	t.Helper()
	var files []string
	for _, w := range watchers {
		files = append(files, w.file)
	}
	all := framesOf(t, files...)
	var stamps []pattern.Stamp
	for i, frame := range all {
		stamp, err := frame.stamp()
		if err != nil {
			t.Errorf("frame %d: %v", i, err)
			continue
		}
		if n := len(stamps); n > 0 && !stamp.Time.After(stamps[n-1].Time) {
			t.Errorf("frame %d has counter %d, of %v; the one before %d, of %v", i, stamp.Counter, stamp.Time, stamps[n-1].Counter, stamps[n-1].Time)
		}
		if !bytes.Equal(frame.still(), all[0].still()) {
			t.Errorf("frame %d, counter %d, was not sent like this", i, stamp.Counter)
		}
		stamps = append(stamps, stamp)
	}
	return stamps
}

// TestVideoOverTheCable: for a minute every frame that was sent comes, with its
// counter, and none comes twice or late.
func TestVideoOverTheCable(t *testing.T) {
	t.Parallel() // beside TestPlayersOverTheCable
	const span, least = time.Minute, 300
	second := secondStream(t)
	w := second.view(t)
	s := second.send(t, "--fps=15", "--duration="+span.String(), "--stats=json")
	select {
	case <-s.Exited:
	case <-time.After(span + harness.Patience):
		t.Fatal("the sender does not end")
	}
	w.WaitText("all frames were sent")
	if code := w.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	stamps := wantFrames(t, w)
	if sent := harness.CountFrames(s); len(stamps) != sent || sent < least {
		t.Fatalf("%d frames were recorded, %d sent; want at least %d", len(stamps), sent, least)
	}
	first, last := stamps[0], stamps[len(stamps)-1]
	if took := last.Time.Sub(first.Time); took < span-time.Second {
		t.Errorf("the frames are of %v", took)
	}
	t.Logf("%d frames of %v, counters %d to %d", len(stamps), last.Time.Sub(first.Time), first.Counter, last.Counter)
}

// secondStream sets up another stream with the programs, until the test is over:
// what TestSetup does on a tree of files, on the kernel's ConfigFS.
func secondStream(t *testing.T) ends {
	t.Helper()
	const streams = "/sys/kernel/config/thunderbolt/stream/"
	sides := []struct{ program, host string }{{"tbcam-view", "1"}, {"tbcam-send", "0"}}
	run := func(name, host string, more ...string) *harness.Program {
		p := harness.Start(t, nil, name, append([]string{"setup", "--once", "--stream=second@" + service(t, host)}, more...)...)
		if code := p.WaitExit(); code != 0 {
			t.Fatalf("%s setup: exit code %d", name, code)
		}
		return p
	}
	var devices []string
	for _, side := range sides {
		run(side.program, side.host)
		group := streams + service(t, side.host) + "/second/"
		for name, unwanted := range map[string]string{"in_hopid": "0", "out_hopid": "0", "ring_size": "256"} {
			if got := content(t, group+name); got == unwanted {
				t.Errorf("%s: %s is %s", side.program, name, got)
			}
		}
		if again := run(side.program, side.host); again.Out.String() != "stream \"second\" is ready\n" {
			t.Errorf("%s, the second time: %q", side.program, again.Out.String())
		}
		devices = append(devices, "/dev/tbstream"+content(t, group+"index"))
	}
	t.Cleanup(func() {
		for _, side := range sides {
			run(side.program, side.host, "--remove")
		}
		if left, _ := filepath.Glob(streams + "*/second"); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	})
	return ends{sender: devices[1], viewer: devices[0]}
}

// group returns the directory in ConfigFS of a host's end of theCable.
func group(t *testing.T, host string) string {
	return filepath.Join("/sys/kernel/config/thunderbolt/stream", service(t, host), "tbcam")
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

func set(t *testing.T, path string, value any) {
	t.Helper()
	if err := os.WriteFile(path, fmt.Append(nil, value), 0); err != nil {
		t.Fatal(err)
	}
}
