package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/pty"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// counter reads the code of the pattern from an image file.
func counter(t *testing.T, path string) uint32 {
	t.Helper()
	img := golden.Read(t, path)
	stamp, err := pattern.ReadImage(img, img.Bounds())
	if err != nil {
		t.Fatal(err)
	}
	return stamp.Counter
}

func TestRecordWithoutDisplay(t *testing.T) {
	for _, codec := range []string{"jpeg", "raw"} {
		t.Run(codec, func(t *testing.T) {
			flag, _ := harness.NewSocket(t)
			file := filepath.Join(t.TempDir(), "a.mkv")
			v := harness.StartViewer(t, flag, "--record="+file, "--frames=30", "--stats=json")
			harness.StartSender(t, flag, "--codec="+codec)
			if code := v.WaitExit(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			got := harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries", "stream=width,height,nb_read_frames", file)
			if strings.TrimSpace(got) != "320,240,30" {
				t.Errorf("ffprobe finds %q", got)
			}
			wantSummary(t, v.Out.String())
		})
	}
}

// wantSummary checks the last line of --stats json.
func wantSummary(t *testing.T, lines string) {
	t.Helper()
	all := strings.Split(strings.TrimSpace(lines), "\n")
	var last struct {
		Frames  int
		Latency []struct {
			Stage string
			P50   float64 `json:"p50_ms"`
		}
		Outcomes map[string]int
	}
	if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Frames != 30 || len(last.Latency) < 4 || len(last.Outcomes) < 5 {
		t.Errorf("the summary is %+v", last)
	}
}

func TestEitherMayStartFirst(t *testing.T) {
	for _, first := range []string{"sender", "viewer"} {
		t.Run(first, func(t *testing.T) {
			flag, path := harness.NewSocket(t)
			file := filepath.Join(t.TempDir(), "a.png")
			var v *harness.Program
			if first == "sender" {
				harness.StartSender(t, flag).WaitText("waiting for a viewer")
				v = harness.StartViewer(t, flag, "--snapshot="+file)
			} else {
				v = harness.StartViewer(t, flag, "--snapshot="+file)
				harness.WaitUntil(t, "the socket", func() bool { _, err := os.Stat(path); return err == nil })
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("socket has mode %v, %v; want 0600", info.Mode(), err)
				}
				harness.StartSender(t, flag)
			}
			if code := v.WaitExit(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			counter(t, file)
			if _, err := os.Stat(path); err == nil {
				t.Error("the socket was left behind")
			}
		})
	}
}

func TestKilledProgramsComeBack(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	dir := t.TempDir()
	watch := func(n int) *harness.Program {
		return harness.StartViewer(t, flag, "--stats=json", "--record="+filepath.Join(dir, fmt.Sprintf("%d.mkv", n)))
	}
	v, s := watch(0), harness.StartSender(t, flag)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 10 })
	s.Stop(syscall.SIGKILL)
	v.WaitText("lost the connection to the sender")
	before := harness.CountFrames(v)
	again := harness.StartSender(t, flag)
	begin := time.Now()
	again.WaitText("camera is on")
	t.Logf("the camera was on %v after the sender's start", time.Since(begin))
	harness.WaitUntil(t, "frames after the sender's death", func() bool { return harness.CountFrames(v) > before+10 })
	v.Stop(syscall.SIGKILL)
	again.WaitText("viewer disconnected")
	second := watch(1)
	harness.WaitUntil(t, "frames after the viewer's death", func() bool { return harness.CountFrames(second) > 10 })
}

// comeBack is the longest time from both programs running to the first frame.
const comeBack = time.Second

// TestVideoIsBackWithinASecond measures on this machine: process start included.
func TestVideoIsBackWithinASecond(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	var least time.Duration = harness.Patience
	for n := range 5 {
		s := harness.StartSender(t, flag)
		s.WaitText("waiting for a viewer")
		begin := time.Now()
		// Without the time for a cold camera.
		v := harness.StartViewer(t, flag, "--skip=0", "--snapshot="+filepath.Join(t.TempDir(), strconv.Itoa(n)+".png"))
		if code := v.WaitExit(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		least = min(least, time.Since(begin))
		v.Stop(syscall.SIGKILL)
		s.Stop(syscall.SIGKILL)
	}
	t.Logf("from the viewer's start to the snapshot on disk: %v", least)
	if least > comeBack {
		t.Errorf("it took %v, want at most %v", least, comeBack)
	}
}

func TestWindowShowsTheCounter(t *testing.T) {
	display := xvfb.Start(t)
	flag, _ := harness.NewSocket(t)
	dir := t.TempDir()
	v := harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--stats=json")
	v.Dir = dir
	harness.Start(t, nil, "tbcam-send", "--camera=pattern", "--size=640x480", "--fps=30", flag)
	var first pattern.Stamp
	shows := func(least uint32) func() bool {
		return func() bool {
			// The window may be moved, and gets the frame's size with the frame.
			stamp, err := pattern.ReadImage(display.Screenshot(t), windowBounds(t, display))
			first = stamp
			return err == nil && stamp.Counter > least
		}
	}
	harness.WaitUntil(t, "a counter on the screen", shows(0))
	harness.WaitUntil(t, "a later counter on the screen", shows(first.Counter+10))
	golden.Keep(t, "window", display.Screenshot(t))
	display.Xdotool(t, "key", "q")
	if code := v.WaitExit(); code != 0 {
		t.Errorf("exit code %d after Q", code)
	}
	if !strings.Contains(v.Out.String(), `"stage":"show"`) {
		t.Error("the statistics lack the latency of showing")
	}
}

// windowBounds returns where on the screen the window is.
func windowBounds(t *testing.T, display *xvfb.Display) image.Rectangle {
	t.Helper()
	geometry := display.Xdotool(t, "search", "--sync", "--onlyvisible", "--name", "tbcam", "getwindowgeometry", "--shell")
	value := map[string]int{}
	for _, line := range strings.Split(geometry, "\n") {
		name, number, _ := strings.Cut(line, "=")
		value[name], _ = strconv.Atoi(number)
	}
	at := image.Pt(value["X"], value["Y"])
	return image.Rectangle{at, at.Add(image.Pt(value["WIDTH"], value["HEIGHT"]))}
}

func TestViewerChoosesTheMode(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	file := filepath.Join(t.TempDir(), "a.png")
	v := harness.StartViewer(t, flag, "--snapshot="+file, "--size=160x120", "--format=nv12")
	harness.StartSender(t, flag)
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	v.WaitText("nv12 160x120")
}

// TestViewerMayNotChooseAnything: the sender's own --camera stands, and a path is
// opened only if it is a camera's.
func TestViewerMayNotChooseAnything(t *testing.T) {
	for camera, message := range map[string]string{"/etc/passwd": "only pattern is offered", "other": "only pattern is offered"} {
		flag, _ := harness.NewSocket(t)
		v := harness.StartViewer(t, flag, "--camera="+camera, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
		harness.StartSender(t, flag)
		v.WaitText(message)
	}
}

// TestViewerChoosesAmongTheOffered: of several cameras it gets the one that it asks
// for, else the first; its program reads back which one.
func TestViewerChoosesAmongTheOffered(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag, "--camera=pattern2")
	for asked, want := range map[string]int{"--camera=auto": 1, "--camera=pattern2": 2, "--camera=pattern": 1} {
		file := filepath.Join(t.TempDir(), "a.png")
		if code := harness.StartViewer(t, flag, asked, "--snapshot="+file).WaitExit(); code != 0 {
			t.Fatalf("%s: exit code %d", asked, code)
		}
		img := golden.Read(t, file)
		if stamp, err := pattern.ReadImage(img, img.Bounds()); err != nil || stamp.Camera != want {
			t.Errorf("%s: read %+v, %v; want camera %d", asked, stamp, err, want)
		}
	}
}

func TestViewerListsTheSendersCameras(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag)
	v := harness.StartViewer(t, "list", flag, "--json")
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var cameras []capture.Device
	if err := json.Unmarshal([]byte(v.Out.String()), &cameras); err != nil {
		t.Fatal(err)
	}
	if len(cameras) != 1 || cameras[0].Path != pattern.Name || len(cameras[0].Modes) != len(pattern.Camera().Modes) {
		t.Errorf("listed are %+v, but not only what is offered", cameras)
	}
}

// TestGStreamerSends: the kernel's own recipe, into a FIFO; every frame comes.
func TestGStreamerSends(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "stream")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.mkv")
	v := harness.StartViewer(t, "--stream="+fifo, "--record="+file, "--frames=40")
	v.WaitText("waiting")
	harness.RunTool(t, "gst-launch-1.0", "-q", "videotestsrc", "num-buffers=40", "!", "video/x-raw,width=320,height=240",
		"!", "jpegenc", "quality=90", "!", "filesink", "location="+fifo)
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	got := harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries", "stream=width,nb_read_frames", file)
	if strings.TrimSpace(got) != "320,40" {
		t.Errorf("ffprobe finds %q", got)
	}
}

// TestPlainMJPEGOutput: FFmpeg reads what is written to standard output.
func TestPlainMJPEGOutput(t *testing.T) {
	s := harness.Start(t, nil, "tbcam-send", append(harness.SmallPattern, "--wire=mjpeg", "--stream=-", "--frames=15")...)
	if code := s.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	file := filepath.Join(t.TempDir(), "a.mjpeg")
	if err := os.WriteFile(file, []byte(s.Out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := harness.RunTool(t, "ffprobe", "-v", "fatal", "-f", "mjpeg", "-count_frames", "-of", "csv=p=0", "-show_entries", "stream=width,nb_read_frames", file)
	if strings.TrimSpace(got) != "320,15" {
		t.Errorf("ffprobe finds %q", got)
	}
}

// fakeConfigFS returns a tree of files that looks as ConfigFS does, with one stream
// that is not set up.
func fakeConfigFS(t *testing.T) (root, stream string) {
	root, stream = t.TempDir(), "/sys/kernel/config/thunderbolt/stream/0-1.1/tbcam/"
	for path, text := range map[string]string{
		"/sys/bus/thunderbolt/devices/0-1.1/key": "stream\n",
		stream + "index":                         "0\n",
		stream + "in_hopid":                      "0\n",
		stream + "out_hopid":                     "0\n",
		stream + "ring_size":                     "256\n",
	} {
		writeTree(t, root, path, text)
	}
	return root, stream
}

func writeTree(t *testing.T, root, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(root+path), 0o755), os.WriteFile(root+path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// startCopy starts a copy of a program in another directory.
func startCopy(t *testing.T, dir string, settings []string, name string, args ...string) *harness.Program {
	t.Helper()
	harness.RunTool(t, "install", "-t", dir, filepath.Join(harness.Bin, name))
	p := harness.Prepare(t, name, args...)
	p.Path, p.Env = filepath.Join(dir, name), harness.Environ(settings...)
	p.Launch()
	return p
}

// TestTwoHosts: with two of them connected, no program and no setup guesses.
func TestTwoHosts(t *testing.T) {
	root, _ := fakeConfigFS(t)
	writeTree(t, root, "/sys/bus/thunderbolt/devices/0-1/device_name", "laptop\n")
	writeTree(t, root, "/sys/bus/thunderbolt/devices/1-1.1/key", "stream\n")
	writeTree(t, root, "/sys/kernel/config/thunderbolt/stream/1-1.1/tbcam/index", "99\n")
	settings := []string{"TBCAM_ROOT=" + root}
	for line, want := range map[string]string{
		"tbcam-send --camera=pattern":                      "tbcam@0-1.1 (laptop), tbcam@1-1.1; choose one with --stream NAME@PEER",
		"tbcam-view --snapshot=a.png":                      "tbcam@0-1.1 (laptop), tbcam@1-1.1; choose one with --stream NAME@PEER",
		"tbcam-view setup --once":                          "0-1.1 (laptop), 1-1.1",
		"tbcam-view setup --once --stream=tbcam@desk":      "0-1.1 (laptop), 1-1.1",
		"tbcam-send --camera=pattern --stream=tbcam@1-1.1": "/dev/tbstream99",
	} {
		words := strings.Fields(line)
		p := harness.Start(t, settings, words[0], words[1:]...)
		if code := p.WaitExit(); code != 6 || !strings.Contains(p.Err.String(), want) {
			t.Errorf("%s: exit code %d, %q; want %q", line, code, p.Err.String(), want)
		}
	}
}

// TestCharacterDevice: any device that carries bytes both ways serves as a cable.
func TestCharacterDevice(t *testing.T) {
	a, b, _ := pty.Pair(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	v := harness.StartViewer(t, "--stream="+a, "--record="+file, "--frames=20")
	harness.StartSender(t, "--stream="+b, "--size=160x120")
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	got := harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries", "stream=nb_read_frames", file)
	if strings.TrimSpace(got) != "20" {
		t.Errorf("ffprobe finds %q frames", got)
	}
	// The sender keeps its device between sessions.
	if code := harness.StartViewer(t, "--stream="+b, "--record="+file+".mkv").WaitExit(); code != 6 {
		t.Errorf("a device in use gives exit code %d", code)
	}
}

func TestSenderEndsAfterItsFrames(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	s := harness.StartSender(t, flag, "--frames=20")
	if code := s.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	v.WaitText("all frames were sent")
	harness.WaitUntil(t, "20 frames", func() bool { return harness.CountFrames(v) == 20 })
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d after SIGINT", code)
	}
}

func TestSignalsEndInOrder(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		flag, _ := harness.NewSocket(t)
		file := filepath.Join(t.TempDir(), "a.mkv")
		v, s := harness.StartViewer(t, flag, "--stats=json", "--record="+file), harness.StartSender(t, flag)
		harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 5 })
		if code := s.Stop(signal); code != 0 {
			t.Errorf("tbcam-send: exit code %d", code)
		}
		v.WaitText("tbcam-send was closed")
		if code := v.Stop(signal); code != 0 {
			t.Errorf("tbcam-view: exit code %d", code)
		}
		harness.RunTool(t, "ffprobe", "-v", "error", file)
	}
}

// TestHangUp: a terminal that closes may send SIGHUP twice, and the recording is
// whole; nohup keeps both programs running.
func TestHangUp(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	dir := t.TempDir()
	hangUp := func(p *harness.Program) {
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+filepath.Join(dir, "a.mkv"))
	s := nohup(t, "tbcam-send", "--camera=pattern", flag)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 5 })
	hangUp(s)
	hangUp(v)
	hangUp(v)
	if code := v.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	harness.RunTool(t, "ffprobe", "-v", "error", filepath.Join(dir, "a.mkv"))
	kept := nohup(t, "tbcam-view", flag, "--stats=json", "--record="+filepath.Join(dir, "b.mkv"))
	harness.WaitUntil(t, "frames of the sender that was hung up", func() bool { return harness.CountFrames(kept) > 0 })
	before := harness.CountFrames(kept)
	hangUp(kept)
	harness.WaitUntil(t, "frames after the hang-up", func() bool { return harness.CountFrames(kept) > before+30 })
}

// nohup starts a program that ignores SIGHUP from its start.
func nohup(t *testing.T, name string, args ...string) *harness.Program {
	p := harness.Prepare(t, "nohup", append([]string{filepath.Join(harness.Bin, name)}, args...)...)
	p.Path = "/usr/bin/nohup"
	p.Launch()
	return p
}

// TestInterruptedSnapshot: there is no image, and the exit code shows it.
func TestInterruptedSnapshot(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--snapshot="+filepath.Join(t.TempDir(), "a.png"))
	v.WaitText("waiting for tbcam-send")
	if code := v.Stop(syscall.SIGINT); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// TestReaderGoesAway: whoever reads the statistics may leave, and the recording is
// whole; where the recording is what was read, it ends with an error.
func TestReaderGoesAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.mkv")
	for _, c := range []struct {
		record, frames string
		code           int
	}{{file, "60", 0}, {"-", "600", 7}} {
		flag, _ := harness.NewSocket(t)
		harness.StartSender(t, flag)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := harness.Prepare(t, "tbcam-view", flag, "--stats=json", "--record="+c.record, "--frames="+c.frames)
		p.Stdout = w
		p.Launch()
		w.Close()
		if _, err := r.Read(make([]byte, 10)); err != nil {
			t.Error(err)
		}
		r.Close()
		if code := p.WaitExit(); code != c.code {
			t.Errorf("--record=%s: exit code %d, want %d", c.record, code, c.code)
		}
		for _, untrue := range []string{"lost the connection to the sender", "repair"} {
			if strings.Contains(p.Err.String(), untrue) {
				t.Errorf("--record=%s: got %q", c.record, p.Err.String())
			}
		}
	}
	if output := harness.RunTool(t, filepath.Join(harness.Bin, "tbcam-view"), "repair", file); !strings.Contains(output, "nothing to repair") {
		t.Errorf("the recording has no end: %s", output)
	}
}

// TestGarbageIsSurvived: a hostile stream costs nothing but its own session.
func TestGarbageIsSurvived(t *testing.T) {
	flag, path := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--snapshot="+filepath.Join(t.TempDir(), "a.png"))
	harness.WaitUntil(t, "the socket", func() bool { _, err := os.Stat(path); return err == nil })
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	noise := rand.New(rand.NewPCG(seed, 1))
	for range 3 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		garbage := make([]byte, 1<<20)
		for i := range garbage {
			garbage[i] = byte(noise.Uint32())
		}
		_, _ = conn.Write(garbage) // the viewer may hang up first
		conn.Close()
	}
	harness.StartSender(t, flag)
	if code := v.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// mistakes are commands that must be refused; $unix is the flag of a socket, $dir a
// directory, $existing a file.
var mistakes = []struct {
	command string
	code    int
	message string
}{
	{"tbcam-send --no-such-flag", 2, "--help"},
	{"tbcam-send extra", 2, "extra"},
	{"tbcam-send --camera=pattern --size=big $unix", 2, "WxH"},
	{"tbcam-send --camera=pattern --fps=nan $unix", 2, "NaN"},
	{"tbcam-view --record=a.mkv --fps=-1 $unix", 2, "-1"},
	{"tbcam-send --camera=pattern --quality=0 $unix", 2, "must be 1 to 100"},
	{"tbcam-send --camera=pattern --format=h265 $unix", 2, "mjpeg"},
	{"tbcam-send --camera=pattern --codec=copy $unix", 2, "jpeg"},
	{"tbcam-send --camera=pattern --wire=morse $unix", 2, "mjpeg"},
	{"tbcam-send --camera=pattern --wire=mjpeg --codec=raw $unix", 2, "raw"},
	{"tbcam-send --camera=pattern --stats=xml $unix", 2, "text or json"},
	{"tbcam-view --virtual-camera=auto --virtual-camera-format=nv12 $unix", 2, "want auto, yuyv, yu12, mjpeg"},
	{"tbcam-view --virtual-camera=auto --virtual-camera-size=wide $unix", 2, "--virtual-camera-size"},
	{"tbcam-view --virtual-camera=nowhere $unix", 2, "want auto, pipewire, v4l2loopback, or a device"},
	{"tbcam-view --virtual-camera=pipewire --virtual-camera-format=mjpeg $unix", 2, "takes yu12 or yuyv"},
	{"tbcam-view --record=/a.mkv --placeholder=away $unix", 2, "--placeholder needs --virtual-camera"},
	{"tbcam-view --virtual-camera=auto --fit=tight $unix", 2, "contain"},
	{"tbcam-view --record=/a.mkv --fit=crop $unix", 2, "--fit needs --virtual-camera"},
	{"tbcam-send --camera=/dev/video99 $unix", 3, "/dev/video99"},
	{"tbcam-send --camera=nobody's $unix", 3, "nobody's"},
	{"tbcam-send --camera=pattern --size=333x222 $unix", 5, "320x240"},
	{"tbcam-send --camera=pattern --fps=7 $unix", 5, "nearest"},
	{"tbcam-send --wait --camera=pattern --fps=7 $unix", 5, "nearest"},
	{"tbcam-send --camera=pattern", 6, "the kernel module thunderbolt_stream is not loaded"},
	{"tbcam-send --camera=pattern --stream=/dev/tbstream99", 6, "/dev/tbstream99"},
	{"tbcam-send --camera=pattern --stream=toolongname", 6, "toolongname"},
	{"tbcam-send --camera=pattern --stream=$existing", 6, "character device"},
	{"tbcam-view", 7, "no display"},
	{"tbcam-view --window $unix", 7, "DISPLAY"},
	{"tbcam-view --snapshot=a.png", 6, "the kernel module thunderbolt_stream is not loaded"},
	{"tbcam-view --record=$existing $unix", 7, "--force"},
	{"tbcam-view --record=$dir/a.xyz $unix", 2, ".mkv"},
	{"tbcam-view --record=$dir/%Q.mkv $unix", 2, "%Q"},
	{"tbcam-view --record=a.mkv --record-format=ogg $unix", 2, "mkv, mp4, avi, mjpeg"},
	{"tbcam-view --record=a.mkv --segment=10 $unix", 2, "500MB"},
	{"tbcam-view --record=a.mkv --keep=7days $unix", 2, "7d"},
	{"tbcam-view --record=a.mkv --record-buffer=0 $unix", 2, "256MiB"},
	{"tbcam-view --record=a.mkv --sync-interval=1us $unix", 2, "10ms"},
	{"tbcam-view --record=a.mkv --pre-roll=-1s $unix", 2, "--pre-roll"},
	{"tbcam-view --record=- --segment=10m $unix", 2, "standard output"},
	{"tbcam-view --record=- --record-format=avi $unix", 2, "standard output"},
	{"tbcam-view --record=- --record-format=jpg $unix", 2, "standard output"},
	{"tbcam-view --segment=10m $unix", 2, "--record"},
	{"tbcam-view control --save=a/b $unix", 2, "slash"},
	{"tbcam-view man", 2, "directory"},
	{"tbcam-view --snapshot-every=1s $unix", 2, "--snapshot"},
	{"tbcam-view --record=a.mkv --timeout=5s $unix", 2, "--timeout needs --snapshot"},
	{"tbcam-view list --timeout=soon $unix", 2, "want a time such as 90s or 10m"},
	{"tbcam-view --snapshot=a.bmp $unix", 2, "snapshots are .png, .jpg or .jpeg"},
	{"tbcam-view --snapshot=a $unix", 2, "snapshots are .png, .jpg or .jpeg"},
	{"tbcam-view --snapshot=- --snapshot-every=1s $unix", 2, "standard output takes one image"},
	{"tbcam-view --snapshot=- --record=/dev/stdout $unix", 2, "the recording goes to standard output"},
	{"tbcam-view --skip=3 --window $unix", 2, "--skip needs --snapshot"},
	{"tbcam-view --snapshot=a.png --skip=-2 $unix", 2, "--skip must not be negative"},
	{"tbcam-view --snapshot=$dir/" + strings.Repeat("x", 252) + ".png $unix", 7, "file name too long"},
	{"tbcam-view --snapshot=$dir/" + strings.Repeat("x", 250) + "%S.png --snapshot-every=1s $unix", 7, "file name too long"},
	{"tbcam-view --record=$dir/" + strings.Repeat("x", 252) + ".mkv $unix", 7, "file name too long"},
	{"tbcam-view --record=/dev/fd/77 $unix", 7, "bad file descriptor"},
	{"tbcam-view --record=/dev/stdout --segment=10m $unix", 2, "one stream"},
	{"tbcam-view --record=/dev/null --record-format=avi $unix", 2, "needs files"},
	{"tbcam-view --record=$dir/none/a.mkv $unix", 7, "none"},
	{"tbcam-view --snapshot=${existing}.png $unix", 7, "--force"},
	{"tbcam-view --virtual-camera=/dev/null $unix", 7, "/dev/null"},
	{"tbcam-view --virtual-camera=/dev/video99 $unix", 7, "/dev/video99"},
	{"tbcam-view --record=a.mkv --stream=unix:$existing", 6, "not a socket"},
}

// TestMistakes: each is reported in one line, with its exit code.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	existing := filepath.Join(dir, "exists.mkv")
	for _, file := range []string{existing, existing + ".png"} {
		if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	values := map[string]string{"unix": "--stream=unix:" + filepath.Join(dir, "s"), "dir": dir, "existing": existing}
	for _, c := range mistakes {
		t.Run(c.command, func(t *testing.T) {
			words := strings.Fields(os.Expand(c.command, func(name string) string { return values[name] }))
			p := harness.Start(t, nil, words[0], words[1:]...)
			if code := p.WaitExit(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if lines := strings.Count(p.Err.String(), "\n"); lines != 1 || !strings.Contains(p.Err.String(), c.message) {
				t.Errorf("got %q; want one line with %q", p.Err.String(), c.message)
			}
		})
	}
	if content, err := os.ReadFile(existing); err != nil || string(content) != "precious" {
		t.Errorf("the file that existed holds %q, %v", content, err)
	}
}

func TestHelpNeedsNoDisplay(t *testing.T) {
	for _, command := range []string{"tbcam-send --help", "tbcam-view --help", "tbcam-send list --help", "tbcam-view list --help",
		"tbcam-send --version", "tbcam-view completion bash"} {
		words := strings.Fields(command)
		p := harness.Start(t, nil, words[0], words[1:]...)
		if code := p.WaitExit(); code != 0 || p.Out.String() == "" {
			t.Errorf("%s: exit code %d, %d bytes", command, code, len(p.Out.String()))
		}
	}
}

func TestManualPages(t *testing.T) {
	for _, name := range []string{"tbcam-send", "tbcam-view"} {
		dir := t.TempDir()
		if code := harness.Start(t, nil, name, "man", dir).WaitExit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		pages, err := fs.Glob(os.DirFS(dir), name+"*.1")
		if err != nil || len(pages) < 2 {
			t.Errorf("%s: pages %v, %v", name, pages, err)
		}
	}
}
