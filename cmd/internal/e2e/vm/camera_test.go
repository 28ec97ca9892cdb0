//go:build vm

package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestBusyCamera: who has it is shown on its own host only, and the program waits for it.
func TestBusyCamera(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	taken := filepath.Join(t.TempDir(), "taken")
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera)...)
	s.WaitText("offering")
	other := background(t, "v4l2-ctl", append(v4l2Mode("YUYV"), "-d", camera, "--stream-mmap", "--stream-to="+taken)...)
	harness.WaitUntil(t, "another program's frames", func() bool { return size(taken) > 0 })

	holder := fmt.Sprintf("held by v4l2-ctl (pid %d)", other.Process.Pid)
	wantRefusal(t, harness.Start(t, nil, "tbcam-send", append(vividMode, "--stream=unix:/nowhere", "--camera="+camera)...), 4, holder)
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	s.WaitText(holder)
	v.WaitText("camera is busy")
	finish(other)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 1 })
	if text := v.Err.String(); strings.Contains(text, "v4l2-ctl") || strings.Contains(text, camera) {
		t.Errorf("the viewer learns %q", text)
	}
}

// TestTwoCamerasOfOneName: neither is taken by that name, both are listed.
func TestTwoCamerasOfOneName(t *testing.T) {
	cameras := vm.LoadVivid(t, 2)
	flag, _ := harness.NewSocket(t)
	wantRefusal(t, harness.Start(t, nil, "tbcam-send", flag, "--camera=vivid"), 3,
		fmt.Sprintf(`"vivid" may be %s (vivid), %s (vivid)`, cameras[0], cameras[1]))
}

// TestListWithoutPermission: it names the device and the remedy.
func TestListWithoutPermission(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	if err := os.Chmod(camera, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join(harness.Bin, "tbcam-send"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tbcam-send"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Directories of tests are closed to other users.
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := harness.Prepare(t, "tbcam-send", "list")
	p.Path = filepath.Join(dir, "tbcam-send")
	const nobody = 65534
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	p.Launch()
	wantRefusal(t, p, 3, "open "+camera+": permission denied; run: sudo usermod -aG video $USER")
	if text := p.Out.String(); !strings.Contains(text, "Test pattern") {
		t.Errorf("it lists %q", text)
	}
}

// TestMissingMode: the nearest ones are named, whoever asked.
func TestMissingMode(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := harness.NewSocket(t)
	const nearest = "nearest: nv12 320x180"
	wantRefusal(t, harness.Start(t, nil, "tbcam-send", flag, "--camera="+camera, "--size=321x180", "--format=nv12"), 5, nearest)
	v := harness.StartViewer(t, flag, "--size=321x180", "--format=nv12", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	harness.Start(t, nil, "tbcam-send", flag, "--camera="+camera)
	v.WaitText(nearest)
}

// TestCamerasAreListed: on the sender's host and through the cable.
func TestCamerasAreListed(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := harness.NewSocket(t)
	harness.Start(t, nil, "tbcam-send", flag, "--camera="+camera)
	for _, command := range [][]string{{"tbcam-send", "list"}, {"tbcam-view", "list", flag}} {
		text := harness.Start(t, nil, command[0], command[1:]...)
		if code := text.WaitExit(); code != 0 {
			t.Errorf("%v: exit code %d", command, code)
		}
		for _, want := range []string{camera + "  vivid (driver vivid, bus platform:vivid-000)", "  yuyv ", "  320x180 ", "control Brightness"} {
			if !strings.Contains(text.Out.String(), want) {
				t.Errorf("%v: %q is missing in\n%s", command, want, text.Out.String())
			}
		}
		checkListed(t, camera, harness.Start(t, nil, command[0], append(command[1:], "--json")...))
	}
}

func checkListed(t *testing.T, camera string, list *harness.Program) {
	t.Helper()
	if code := list.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var cameras []capture.Device
	if err := json.Unmarshal([]byte(list.Out.String()), &cameras); err != nil {
		t.Fatal(err)
	}
	c := cameras[0]
	mode := capture.Mode{Pixel: capture.YUYV, Width: 320, Height: 180, Rate: capture.Rate{Num: 5, Den: 1}}
	isMenu := func(c capture.Control) bool { return c.Name == "Test Pattern" && len(c.Menu) > 5 }
	if c.Path != camera || c.Driver != "vivid" || !slices.Contains(c.Modes, mode) || !slices.ContainsFunc(c.Controls, isMenu) {
		t.Errorf("the first camera is %+v", c)
	}
}

// TestViewerChoosesAnotherCamera: its frame comes, not that of the sender's.
func TestViewerChoosesAnotherCamera(t *testing.T) {
	cameras := vm.LoadVivid(t, 2)
	for i, camera := range cameras {
		holdStill(t, camera, i)
	}
	want := read(t, cameras[1], vividSize("yuyv"), v4l2Mode("YUYV")...)
	flag, _ := harness.NewSocket(t)
	file := filepath.Join(keepDir(t), "a.mkv")
	v := harness.StartViewer(t, flag, append(vividMode, "--camera="+cameras[1], "--format=yuyv", "--frames=3", "--record="+file)...)
	harness.Start(t, nil, "tbcam-send", flag, "--codec=raw").WaitText("offering vivid (" + cameras[0])
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	checkRecorded(t, probe(t, file), want)
}
