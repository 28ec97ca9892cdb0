//go:build vm

package e2e

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
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestBusyCamera: who has it is told on its own host only, and it is waited for.
func TestBusyCamera(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	taken := filepath.Join(t.TempDir(), "taken")
	flag, _ := socket(t)
	s := start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera)...)
	s.says("offering")
	other := background(t, "v4l2-ctl", append(v4l2Mode("YUYV"), "-d", camera, "--stream-mmap", "--stream-to="+taken)...)
	until(t, "another program's pictures", func() bool { return size(taken) > 0 })

	holder := fmt.Sprintf("held by v4l2-ctl (pid %d)", other.Process.Pid)
	wantRefusal(t, start(t, nil, "tbcam-send", append(vividMode, "--stream=unix:/nowhere", "--camera="+camera)...), 4, holder)
	v := viewer(t, flag, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	s.says(holder)
	v.says("camera is busy")
	finish(other)
	until(t, "pictures", func() bool { return frames(v) > 1 })
	if text := v.stderr.String(); strings.Contains(text, "v4l2-ctl") || strings.Contains(text, camera) {
		t.Errorf("the viewer learns %q", text)
	}
}

// TestTwoCamerasOfOneName: neither is taken by that name, both are listed.
func TestTwoCamerasOfOneName(t *testing.T) {
	cameras := vm.LoadVivid(t, 2)
	flag, _ := socket(t)
	wantRefusal(t, start(t, nil, "tbcam-send", flag, "--camera=vivid"), 3,
		fmt.Sprintf(`"vivid" may be %s (vivid), %s (vivid)`, cameras[0], cameras[1]))
}

// TestListWithoutPermission: it names the device and the remedy.
func TestListWithoutPermission(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	if err := os.Chmod(camera, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join(bin, "tbcam-send"))
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
	p := prepare(t, "tbcam-send", "list")
	p.Path = filepath.Join(dir, "tbcam-send")
	const nobody = 65534
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	p.launch()
	wantRefusal(t, p, 3, "open "+camera+": permission denied (to be allowed, run: sudo usermod -aG video $USER")
	if text := p.stdout.String(); !strings.Contains(text, "Test pattern") {
		t.Errorf("it lists %q", text)
	}
}

// TestMissingMode: the nearest ones are named, whoever asked.
func TestMissingMode(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := socket(t)
	const nearest = "the nearest are nv12 320x180"
	wantRefusal(t, start(t, nil, "tbcam-send", flag, "--camera="+camera, "--size=321x180", "--format=nv12"), 5, nearest)
	v := viewer(t, flag, "--size=321x180", "--format=nv12", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	start(t, nil, "tbcam-send", flag, "--camera="+camera)
	v.says(nearest)
}

// TestCamerasAreListed: on the sender's host and through the cable.
func TestCamerasAreListed(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := socket(t)
	start(t, nil, "tbcam-send", flag, "--camera="+camera)
	for _, command := range [][]string{{"tbcam-send", "list"}, {"tbcam-view", "list", flag}} {
		text := start(t, nil, command[0], command[1:]...)
		if code := text.code(); code != 0 {
			t.Errorf("%v: exit code %d", command, code)
		}
		for _, want := range []string{camera + "  vivid (driver vivid, bus platform:vivid-000)", "  yuyv ", "  320x180 ", "control Brightness"} {
			if !strings.Contains(text.stdout.String(), want) {
				t.Errorf("%v: %q is missing in\n%s", command, want, text.stdout.String())
			}
		}
		checkListed(t, camera, start(t, nil, command[0], append(command[1:], "--json")...))
	}
}

func checkListed(t *testing.T, camera string, list *program) {
	t.Helper()
	if code := list.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var cameras []capture.Device
	if err := json.Unmarshal([]byte(list.stdout.String()), &cameras); err != nil {
		t.Fatal(err)
	}
	c := cameras[0]
	mode := capture.Mode{Pixel: capture.YUYV, Width: 320, Height: 180, Rate: capture.Rate{Num: 5, Den: 1}}
	isMenu := func(c capture.Control) bool { return c.Name == "Test Pattern" && len(c.Menu) > 5 }
	if c.Path != camera || c.Driver != "vivid" || !slices.Contains(c.Modes, mode) || !slices.ContainsFunc(c.Controls, isMenu) {
		t.Errorf("the first camera is %+v", c)
	}
}

// TestViewerChoosesAnotherCamera: its picture comes, not that of the sender's.
func TestViewerChoosesAnotherCamera(t *testing.T) {
	cameras := vm.LoadVivid(t, 2)
	for i, camera := range cameras {
		holdStill(t, camera, i)
	}
	want := read(t, cameras[1], vividSize("yuyv"), v4l2Mode("YUYV")...)
	flag, _ := socket(t)
	file := filepath.Join(keepDir(t), "a.mkv")
	v := viewer(t, flag, append(vividMode, "--camera="+cameras[1], "--format=yuyv", "--frames=3", "--record="+file)...)
	start(t, nil, "tbcam-send", flag, "--codec=raw").says("offering vivid (" + cameras[0])
	if code := v.code(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	checkRecorded(t, probe(t, file), want)
}
