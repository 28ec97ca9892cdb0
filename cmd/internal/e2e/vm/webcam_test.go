//go:build vm

package vm

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/vm"
)

const webcam = "A webcam"

// TestWebcamWithoutHuffmanTables: its JPEGs are repaired and else left alone, and
// it may be unplugged and plugged in again while the programs run.
func TestWebcamWithoutHuffmanTables(t *testing.T) {
	vm.LoadUSB(t)
	dir := t.TempDir()
	whole := writeWebcamJPEGs(t, dir)
	gadget := plugIn(t, dir)

	flag, _ := harness.NewSocket(t)
	file := filepath.Join(keepDir(t), "a.mkv")
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+file)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+webcam)
	harness.WaitUntil(t, "every frame", func() bool { return harness.CountFrames(v) > 2*len(whole) })
	gadget.Stop(syscall.SIGTERM)
	v.WaitText("no picture")
	before := harness.CountFrames(v)
	plugIn(t, dir)
	harness.WaitUntil(t, "frames of the camera that is back", func() bool { return harness.CountFrames(v) > before+len(whole) })
	interrupt(t, v, s)

	seen := make(map[int]bool)
	for i, p := range probe(t, file).Packets {
		n := slices.IndexFunc(whole, func(data []byte) bool { return p.Hash == hash(data) })
		if n < 0 {
			t.Errorf("frame %d is none that the camera sent", i)
		}
		seen[n] = true
	}
	if len(seen) != len(whole) {
		t.Errorf("recorded are %v", seen)
	}
}

// TestWebcamOfOddJPEGs: it sends another size than its driver grants, padding before
// restart markers, an unusual Adobe segment, and tails of older frames. All of its
// frames are sent and can be decoded.
func TestWebcamOfOddJPEGs(t *testing.T) {
	vm.LoadUSB(t)
	dir := t.TempDir()
	sent := make(map[string]bool)
	for _, name := range []string{"good-422-restart-padded", "good-422-adobe2", "stale-tail"} {
		data, err := os.ReadFile("../../../../fixtures/jpeg/" + name + ".jpg")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".jpg"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		end := bytes.Index(data, []byte{0xff, 0xd9}) + 2
		sent[hash(data[:end])] = true
	}
	plugInAs(t, dir, webcam, "320x240")

	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+webcam)
	snapshot, file := filepath.Join(keepDir(t), "a.png"), filepath.Join(keepDir(t), "a.mkv")
	if code := harness.StartViewer(t, flag, "--snapshot="+snapshot, "--record="+file, "--stats=json", "--frames=12").WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	interrupt(t, s)
	if size := golden.Read(t, snapshot).Bounds().Size(); size != image.Pt(160, 120) {
		t.Errorf("the snapshot is %v", size)
	}
	seen := make(map[string]bool)
	for i, p := range probe(t, file).Packets {
		if seen[p.Hash] = true; !sent[p.Hash] {
			t.Errorf("frame %d is none that the camera sent", i)
		}
	}
	if len(seen) != len(sent) {
		t.Errorf("%d of %d files are recorded", len(seen), len(sent))
	}
	if n := strings.Count(s.Err.String(), "a different size"); n != 1 {
		t.Errorf("%d warnings, want one", n)
	}
}

// huffmanTables is how the DHT segment begins that holds all four of Annex K.
var huffmanTables = []byte{0xff, 0xc4, 0x01, 0xa2}

// writeWebcamJPEGs writes JPEGs, every other of which lacks its Huffman tables,
// and returns them as they should arrive: with the tables, which Go's encoder puts
// where the repair does.
func writeWebcamJPEGs(t *testing.T, dir string) (whole [][]byte) {
	t.Helper()
	for n := range 6 {
		frame := image.NewYCbCr(image.Rect(0, 0, 160, 120), image.YCbCrSubsampleRatio420)
		for y := range 120 {
			for x := range 160 {
				frame.Y[frame.YOffset(x, y)] = uint8((n + 1) * (x + y))
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, frame, nil); err != nil {
			t.Fatal(err)
		}
		data := b.Bytes()
		whole = append(whole, data)
		if at := bytes.Index(data, huffmanTables); n%2 == 0 {
			const size = 2 + 0x01a2
			data = slices.Concat(data[:at], data[at+size:])
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+".jpg"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return whole
}

// plugIn plugs in a USB camera that sends the files of a directory.
func plugIn(t *testing.T, dir string) *harness.Program { return plugInAs(t, dir, webcam, "160x120") }

// plugInAs does so with a camera of that name, whose driver grants a size, whatever
// the files have.
func plugInAs(t *testing.T, dir, name, size string) *harness.Program {
	t.Helper()
	named := func() (n int) {
		paths, _ := filepath.Glob("/sys/class/video4linux/*/name")
		for _, path := range paths {
			if text, _ := os.ReadFile(path); strings.TrimSpace(string(text)) == name {
				n++
			}
		}
		return n
	}
	before := named()
	gadget := harness.Start(t, nil, "uvcgadget", "-frames", dir, "-size", size, "-fps", "5", "-name", name)
	harness.WaitUntil(t, "the camera's node", func() bool { return named() > before })
	return gadget
}

// TestWebcamMoves: tbcam-send waits for it at the start and finds it again on another
// port. Where it may be one of two, the log warns.
func TestWebcamMoves(t *testing.T) {
	vm.LoadUSB(t)
	dir := t.TempDir()
	writeWebcamJPEGs(t, dir)
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag, "--wait", "--camera="+webcam)
	s.WaitText("waiting for the camera")
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	v.WaitText("no such camera")
	flows := func(what string) {
		t.Helper()
		before := harness.CountFrames(v)
		harness.WaitUntil(t, what, func() bool { return harness.CountFrames(v) > before+3 })
	}
	gadget := plugIn(t, dir)
	flows("frames of the camera that was waited for")

	gadget.Stop(syscall.SIGTERM)
	s.WaitText("camera was disconnected")
	plugInAs(t, dir, "Another", "160x120") // has its port
	gadget = plugIn(t, dir)
	flows("frames of the camera on another port")
	s.WaitText("camera is on another port")

	first, second := plugIn(t, dir), plugIn(t, dir)
	gadget.Stop(syscall.SIGTERM)
	s.WaitText("several have that name: " + webcam)
	first.Stop(syscall.SIGTERM)
	flows("frames of the one that is left")
	interrupt(t, v, s)
	second.Stop(syscall.SIGTERM)
}

// TestInfraredIsNamed: a laptop's sensor for face recognition may be the first node,
// and is offered only where its name was given.
func TestInfraredIsNamed(t *testing.T) {
	vm.LoadUSB(t)
	grey, colour := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(grey, "0.grey"), make([]byte, 160*120), 0o600); err != nil {
		t.Fatal(err)
	}
	writeWebcamJPEGs(t, colour)
	plugInAs(t, grey, "Infrared", "160x120")
	other := plugIn(t, colour)
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag)
	s.WaitText("offering " + webcam)
	interrupt(t, s)
	s = harness.Start(t, nil, "tbcam-send", flag, "--camera=infrared")
	s.WaitText("offering Infrared")
	interrupt(t, s)
	other.Stop(syscall.SIGTERM)
	wantRefusal(t, harness.Start(t, nil, "tbcam-send", flag), 3, "(Infrared); name one with --camera")
}

// TestNothingUsableIsReported: once, with the cause, and until frames can be used.
func TestNothingUsableIsReported(t *testing.T) {
	vm.LoadUSB(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0.jpg"), []byte(strings.Repeat("no picture", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	plugIn(t, dir)
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+webcam)
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	const warning = "camera delivers no usable frames"
	s.WaitText(warning)
	interrupt(t, v, s)
	if n := strings.Count(s.Err.String(), warning); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}
