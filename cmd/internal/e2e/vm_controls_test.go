//go:build vm

package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/fixtures/vm"
)

// vividControl asks v4l2-ctl, beside the programs.
func vividControl(t *testing.T, camera, name string) string {
	t.Helper()
	_, value, _ := strings.Cut(strings.TrimSpace(tool(t, "v4l2-ctl", "-d", camera, "-C", name)), ": ")
	return value
}

// TestControlsOfVivid: they are listed, set and read back on both sides, told when
// another program sets them, and set again after a replug.
func TestControlsOfVivid(t *testing.T) {
	home(t)
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := socket(t)
	s := start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera)...)
	wantAnswer(t, "brightness=128", flag, "control", "brightness") // with the camera off
	v := watching(t, flag)
	until(t, "frames", func() bool { return frames(v) > 0 })
	if got := listed(t, flag); len(got) < 30 || got["brightness"] != 128 || got["menu"] != 3 || got["bitmask"] != 0x80002000 {
		t.Errorf("listed are %v", got)
	}
	wantAnswer(t, "brightness=77\nmenu=Menu Item 4\nboolean=off\nstring=xyz\ninteger_64_bits=-5\ninteger_menu=42\nbitmask=0x80000010", flag,
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
	tool(t, "v4l2-ctl", "-d", camera, "-c", "contrast=33")
	until(t, "the word of another program", func() bool { return ask(t, flag, "control", "contrast") == "contrast=33" })
	// An automatic overrides another control, in the driver's eyes.
	ask(t, flag, "control", "gain_automatic=on")
	p := start(t, nil, "tbcam-view", "control", "gain=5", flag)
	if code := p.code(); code != 1 || !strings.Contains(p.stderr.String(), "gain is inactive") {
		t.Errorf("an inactive one: exit code %d", code)
	}

	before := frames(v)
	const driver = "/sys/bus/platform/drivers/vivid/"
	plug := func(how string) {
		t.Helper()
		if err := os.WriteFile(driver+how, []byte("vivid.0"), 0); err != nil {
			t.Fatal(err)
		}
	}
	plug("unbind")
	v.says("no picture")
	plug("bind")
	until(t, "pictures of the camera that is back", func() bool { return frames(v) > before })
	until(t, "the values", func() bool { return len(check(camera)) == 0 })
	if got := vividControl(t, camera, "contrast"); got != "128" {
		t.Errorf("what another program had set is set again: %s", got)
	}
	interrupt(t, v, s)
}

// TestWebcamKeepsItsRate: a real webcam forgets that it is to keep its frame rate
// when it is unplugged; either side's guard tells it again, and the commands do.
func TestWebcamKeepsItsRate(t *testing.T) {
	home(t)
	vm.LoadUSB(t)
	dir := t.TempDir()
	writeWebcamJPEGs(t, dir)
	gadget := plugIn(t, dir)
	flag, _ := socket(t)
	s := start(t, nil, "tbcam-send", flag, "--camera="+webcam)
	wantAnswer(t, "exposure_dynamic_framerate=on", flag, "control", "exposure_dynamic_framerate")
	v := watching(t, flag, "--keep-rate")
	until(t, "frames", func() bool { return frames(v) > 0 }) // now it has the stream, and not the next command
	kept := func() bool {                                    // false, too, while there is no camera
		p := start(t, nil, "tbcam-view", "control", "exposure_dynamic_framerate", flag)
		return p.code() == 0 && p.stdout.String() == "exposure_dynamic_framerate=off\n"
	}
	until(t, "the viewer's guard", kept)
	gadget.end(syscall.SIGTERM)
	v.says("no picture")
	before := frames(v)
	gadget = plugIn(t, dir)
	until(t, "pictures of the camera that is back", func() bool { return frames(v) > before })
	until(t, "the viewer's guard again", kept)
	interrupt(t, v, s)
	gadget.end(syscall.SIGTERM)

	plugIn(t, dir)
	s = start(t, nil, "tbcam-send", flag, "--camera="+webcam, "--keep-rate")
	v = watching(t, flag)
	until(t, "frames", func() bool { return frames(v) > 0 })
	if !kept() {
		t.Error("the sender's guard did nothing")
	}
	interrupt(t, v, s)
}
