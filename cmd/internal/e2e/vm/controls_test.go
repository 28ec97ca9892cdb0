//go:build vm

package vm

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// vividControl asks v4l2-ctl, beside the programs.
func vividControl(t *testing.T, camera, name string) string {
	t.Helper()
	_, value, _ := strings.Cut(strings.TrimSpace(harness.RunTool(t, "v4l2-ctl", "-d", camera, "-C", name)), ": ")
	return value
}

// plugVivid unplugs vivid ("unbind") or plugs it in ("bind").
func plugVivid(t *testing.T, how string) {
	t.Helper()
	if err := os.WriteFile("/sys/bus/platform/drivers/vivid/"+how, []byte("vivid.0"), 0); err != nil {
		t.Fatal(err)
	}
}

// TestControlsOfVivid: they are listed, set and read back on both sides, reported when
// another program sets them, and set again after a replug.
func TestControlsOfVivid(t *testing.T) {
	harness.IsolateDirs(t)
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera)...)
	harness.WantAnswer(t, "brightness=128", flag, "control", "brightness") // with the camera off
	v := harness.StartRecordingViewer(t, flag)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
	if got := harness.ListControls(t, flag); len(got) < 30 || got["brightness"] != 128 || got["menu"] != 3 || got["bitmask"] != 0x80002000 {
		t.Errorf("listed are %v", got)
	}
	harness.WantAnswer(t, "brightness=77\nmenu=Menu Item 4\nboolean=off\nstring=xyz\ninteger_64_bits=-5\ninteger_menu=42\nbitmask=0x80000010", flag,
		"control", "brightness=77", "menu=menu item 4", "boolean=off", "string=xyz", "integer_64_bits=-5", "integer_menu=42", "bitmask=0x80000010")
	want := map[string]string{"brightness": "77", "menu": "4 (Menu Item 4)", "boolean": "0", "string": "'xyz'", "integer_64_bits": "-5", "integer_menu": "8 (42 0x2a)", "bitmask": "-2147483632"}
	check := func(camera string) (wrong []string) {
		for name, value := range want {
			if got := vividControl(t, camera, name); got != value {
				wrong = append(wrong, name+": "+got)
			}
		}
		return wrong
	}
	if wrong := check(camera); len(wrong) > 0 {
		t.Errorf("v4l2-ctl reads %q", wrong)
	}
	harness.RunTool(t, "v4l2-ctl", "-d", camera, "-c", "contrast=33")
	harness.WaitUntil(t, "the word of another program", func() bool { return harness.RunView(t, flag, "control", "contrast") == "contrast=33" })
	// An automatic overrides another control, in the driver's eyes.
	harness.RunView(t, flag, "control", "gain_automatic=on")
	p := harness.Start(t, nil, "tbcam-view", "control", "gain=5", flag)
	if code := p.WaitExit(); code != 1 || !strings.Contains(p.Err.String(), "gain is inactive") {
		t.Errorf("an inactive one: exit code %d", code)
	}

	before := harness.CountFrames(v)
	plugVivid(t, "unbind")
	v.WaitText("no picture")
	plugVivid(t, "bind")
	harness.WaitUntil(t, "frames of the camera that is back", func() bool { return harness.CountFrames(v) > before })
	harness.WaitUntil(t, "the values", func() bool { return len(check(camera)) == 0 })
	if got := vividControl(t, camera, "contrast"); got != "128" {
		t.Errorf("what another program had set is set again: %s", got)
	}
	interrupt(t, v, s)
}

// TestWebcamKeepsItsRate: a real webcam forgets that it is to keep its frame rate
// when it is unplugged; either side's guard sets it again, and the commands do.
func TestWebcamKeepsItsRate(t *testing.T) {
	harness.IsolateDirs(t)
	vm.LoadUSB(t)
	dir := t.TempDir()
	writeWebcamJPEGs(t, dir)
	gadget := plugIn(t, dir)
	flag, _ := harness.NewSocket(t)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+webcam)
	harness.WantAnswer(t, "exposure_dynamic_framerate=on", flag, "control", "exposure_dynamic_framerate")
	v := harness.StartRecordingViewer(t, flag, "--keep-rate")
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 }) // now it has the stream, and not the next command
	kept := func() bool {                                                             // false, too, while there is no camera
		p := harness.Start(t, nil, "tbcam-view", "control", "exposure_dynamic_framerate", flag)
		return p.WaitExit() == 0 && p.Out.String() == "exposure_dynamic_framerate=off\n"
	}
	harness.WaitUntil(t, "the viewer's guard", kept)
	gadget.Stop(syscall.SIGTERM)
	v.WaitText("no picture")
	before := harness.CountFrames(v)
	gadget = plugIn(t, dir)
	harness.WaitUntil(t, "frames of the camera that is back", func() bool { return harness.CountFrames(v) > before })
	harness.WaitUntil(t, "the viewer's guard again", kept)
	interrupt(t, v, s)
	gadget.Stop(syscall.SIGTERM)

	plugIn(t, dir)
	s = harness.Start(t, nil, "tbcam-send", flag, "--camera="+webcam, "--keep-rate")
	v = harness.StartRecordingViewer(t, flag)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
	if !kept() {
		t.Error("the sender's guard did nothing")
	}
	interrupt(t, v, s)
}
