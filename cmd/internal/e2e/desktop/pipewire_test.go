package desktop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// smallCamera is a virtual camera that costs little.
var smallCamera = []string{"--virtual-camera=pipewire", "--virtual-camera-size=320x240"}

// startReader starts a GStreamer that reads frames of the virtual camera: a number of
// them, or -1.
func startReader(t *testing.T, s *pwsession.Session, frames int) *exec.Cmd {
	t.Helper()
	reader := s.Command("gst-launch-1.0", "-q", "pipewiresrc", "target-object=tbcam", fmt.Sprintf("num-buffers=%d", frames),
		"!", "video/x-raw", "!", "fdsink", "fd=1")
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = reader.Process.Kill()
		_ = reader.Wait() // it may have ended
	})
	return reader
}

// wantReader checks that a reader gets its frames.
func wantReader(t *testing.T, s *pwsession.Session, when string) {
	t.Helper()
	reader := startReader(t, s, 5)
	failed := time.AfterFunc(harness.Patience, func() { _ = reader.Process.Kill() })
	defer failed.Stop()
	if err := reader.Wait(); err != nil {
		t.Fatalf("a reader %s: %v", when, err)
	}
}

// countText returns how often a program has printed a text.
func countText(p *harness.Program, text string) int { return strings.Count(p.Err.String(), text) }

// TestReadersComeAndGo: the far camera is on while applications read the virtual one and
// for 3 s after, also where they are killed.
func TestReadersComeAndGo(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	flag, _ := harness.NewSocket(t)
	sender := harness.StartSender(t, flag)
	viewer := harness.StartViewer(t, flag, smallCamera...)
	viewer.WaitText("connected to tbcam-send")
	if n := countText(sender, "camera is on"); n != 0 {
		t.Error("the camera is on before anybody reads")
	}
	for round := range 2 {
		for i := range 10 {
			if i%3 != 2 {
				wantReader(t, s, fmt.Sprintf("%d of round %d", i, round))
				continue
			}
			killed := startReader(t, s, -1)
			time.Sleep(time.Duration(100*i) * time.Millisecond) // in any state
			_ = killed.Process.Kill()
			_ = killed.Wait() // by the signal
		}
		begin := time.Now()
		harness.WaitUntil(t, "the camera to go off", func() bool { return countText(sender, "camera is off") == round+1 })
		// The viewer's grace, and the sender's.
		if took := time.Since(begin); took < 2*time.Second || took > 20*time.Second {
			t.Errorf("the camera went off %v after the last reader", took)
		}
	}
	if n := countText(sender, "camera is on"); n != 2 {
		t.Errorf("the camera was turned on %d times, want 2", n)
	}
}

// TestPipeWireRestarts: after a restart of WirePlumber or of PipeWire the virtual camera is
// there again within 2 s, and is read.
func TestPipeWireRestarts(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag)
	viewer := harness.StartViewer(t, flag, smallCamera...)
	harness.WaitUntil(t, "the virtual camera", func() bool { return s.HasNode("tbcam") })
	wantReader(t, s, "at first")
	for _, name := range []string{pwsession.WirePlumber, pwsession.PipeWire} {
		s.Restart(name)
		begin := time.Now()
		harness.WaitUntil(t, "the virtual camera", func() bool { return s.HasNode("tbcam") })
		took := time.Since(begin)
		t.Logf("%v after a restart of %s the virtual camera is there", took, name)
		if took > 2*time.Second {
			t.Errorf("that is too long")
		}
		wantReader(t, s, "after a restart of "+name)
	}
	if code := viewer.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if s.HasNode("tbcam") {
		t.Error("the virtual camera outlived tbcam-view")
	}
}

// TestTwoVirtualCameras: each has a name of its own, and the far camera's as its
// description, before that is on.
func TestTwoVirtualCameras(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	flag, _ := harness.NewSocket(t)
	sender := harness.StartSender(t, flag)
	harness.StartViewer(t, flag, append(smallCamera, "--virtual-camera=pipewire")...)
	harness.WaitUntil(t, "two nodes", func() bool { return s.HasNode("tbcam") && s.HasNode("tbcam-2") })
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	harness.WaitUntil(t, "their description", func() bool {
		return strings.Count(s.Output("pw-dump"), "tbcam: Test pattern on "+host) >= 2
	})
	if countText(sender, "camera is on") > 0 {
		t.Error("for that the camera was turned on")
	}
}

// TestPipeWireCamera: tbcam-send takes a camera that only PipeWire has without a flag.
func TestPipeWireCamera(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: pwsession.TestNodes})
	s.Enter(t)
	list := harness.Start(t, nil, "tbcam-send", "list")
	if code := list.WaitExit(); code != 0 || !strings.Contains(list.Out.String(), "pipewire:vt") {
		t.Errorf("list ends with %d and prints %q", code, list.Out.String())
	}
	flag, _ := harness.NewSocket(t)
	sender := harness.Start(t, nil, "tbcam-send", flag, "--size=320x240", "--fps=25", "--format=rgb24")
	file := filepath.Join(t.TempDir(), "a.mkv")
	viewer := harness.StartViewer(t, flag, "--frames=20", "--record="+file)
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("tbcam-view ends with %d", code)
	}
	sender.WaitText("Test camera")
	probe := harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0", file)
	if got := strings.TrimSpace(probe); got != "320,240,20" {
		t.Errorf("the recording has %s", got)
	}
}

// TestWithoutLibpipewire: the same programs run where the library is missing; what needs it
// names the package.
func TestWithoutLibpipewire(t *testing.T) {
	dir := t.TempDir()
	// The loader takes this file for the library, and finds that it is none.
	if err := os.WriteFile(filepath.Join(dir, "libpipewire-0.3.so.0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	without := []string{"LD_LIBRARY_PATH=" + dir}
	flag, _ := harness.NewSocket(t)
	sender := harness.Start(t, without, "tbcam-send", append(harness.SmallPattern[:3:3], flag)...)
	viewer := harness.Start(t, without, "tbcam-view", flag, "--virtual-camera=pipewire", "--frames=20", "--record="+filepath.Join(dir, "a.mkv"))
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("tbcam-view ends with %d", code)
	}
	viewer.WaitText("libpipewire-0.3 is not installed")
	viewer.WaitText("pacman -S libpipewire")
	if code := sender.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("tbcam-send ends with %d", code)
	}
	alone := harness.Start(t, without, "tbcam-view", flag, "--virtual-camera=pipewire")
	if code := alone.WaitExit(); code != 7 {
		t.Errorf("alone it ends with %d", code)
	}
	alone.WaitText("dnf install pipewire-libs")
}

// TestWithoutSession: root and services, which have no session, get one line.
func TestWithoutSession(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	v := harness.Start(t, []string{"XDG_RUNTIME_DIR=", "PIPEWIRE_RUNTIME_DIR="}, "tbcam-view", flag, "--virtual-camera=pipewire")
	if code := v.WaitExit(); code != 7 || strings.Count(v.Err.String(), "\n") != 1 {
		t.Errorf("it ends with %d and %q", code, v.Err.String())
	}
	v.WaitText("run it as the user of the desktop")
}
