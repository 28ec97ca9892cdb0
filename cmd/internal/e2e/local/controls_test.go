package local

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// wantMistake waits for the end of a command that cannot be carried out; the last
// line it prints is why.
func wantMistake(t *testing.T, p *harness.Program, code int, message string) {
	t.Helper()
	got := p.WaitExit()
	lines := strings.Split(strings.TrimSpace(p.Err.String()), "\n")
	if got != code || !strings.Contains(lines[len(lines)-1], message) {
		t.Errorf("exit code %d, want %d; got %q, want %q", got, code, lines, message)
	}
}

// TestControls: with and without a viewer that has the stream.
func TestControls(t *testing.T) {
	for _, watched := range []bool{false, true} {
		name := map[bool]string{false: "alone", true: "beside a viewer"}[watched]
		t.Run(name, func(t *testing.T) {
			harness.IsolateDirs(t)
			flag, _ := harness.NewSocket(t)
			s := harness.StartSender(t, flag)
			if watched {
				v := harness.StartRecordingViewer(t, flag)
				harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
			}
			harness.WantAnswer(t, "brightness=0", flag, "control", "brightness")
			harness.WantAnswer(t, "brightness=20\nblock=Still", flag, "control", "Brightness=20", "block=still")
			if got := harness.ListControls(t, flag); got["brightness"] != 20 || got["block"] != 2 || got["block_speed"] != 4 {
				t.Errorf("listed are %v", got)
			}
			if text := harness.RunView(t, flag, "controls"); !strings.Contains(text, "block_speed") || !strings.Contains(text, "None | Moving | Still") {
				t.Errorf("the list is\n%s", text)
			}
			for arg, want := range map[string]struct {
				code    int
				message string
			}{
				"brightness=65":  {2, "brightness: 65 is out of range (-64 to 64)"},
				"brigthness=1":   {2, "nearest: brightness,"},
				"block=sideways": {2, "0 (None), 1 (Moving), 2 (Still)"},
				"block_speed=8":  {1, "block_speed is inactive"},
			} {
				wantMistake(t, harness.Start(t, nil, "tbcam-view", "control", arg, flag), want.code, want.message)
			}
			harness.WantAnswer(t, "brightness=0\nblock=Moving", flag, "control", "--reset")
			if on := strings.Contains(s.Err.String(), "camera is on"); on != watched {
				t.Errorf("the camera was on: %t", on)
			}
		})
	}
}

// TestControlsAreSetAgain: by the viewer that runs, when the sender came back with
// a camera that knows nothing of what was set.
func TestControlsAreSetAgain(t *testing.T) {
	harness.IsolateDirs(t)
	flag, _ := harness.NewSocket(t)
	first := harness.StartSender(t, flag)
	v := harness.StartRecordingViewer(t, flag, "--keep-rate")
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
	harness.RunView(t, flag, "control", "brightness=-30", "block_speed=12")
	if saved := harness.RunView(t, flag, "control", "--save", "dark"); !strings.HasSuffix(saved, "/tbcam/presets/dark.json") {
		t.Errorf("got %q", saved)
	}
	want := map[string]int64{"brightness": -30, "block": 1, "block_speed": 12, "exposure_dynamic_framerate": 0}
	restored := func() bool {
		got := harness.ListControls(t, flag)
		for key, value := range want {
			if got[key] != value {
				return false
			}
		}
		return true
	}
	first.Stop(syscall.SIGKILL)
	second := harness.StartSender(t, flag)
	second.WaitText("camera is on")
	harness.WaitUntil(t, "the values", restored)
	v.Stop(syscall.SIGTERM)

	// A preset does so in another run, here on a camera that has forgotten again.
	second.Stop(syscall.SIGTERM)
	harness.StartSender(t, flag)
	v = harness.StartRecordingViewer(t, flag, "--preset=dark")
	v.WaitText("camera is on")
	harness.WaitUntil(t, "the preset", restored)
	harness.RunView(t, flag, "control", "brightness=default")
	if text := harness.RunView(t, flag, "control", "--load", "dark"); !strings.Contains(text, "brightness=-30") {
		t.Errorf("loaded was %q", text)
	}
	v.Stop(syscall.SIGTERM)
	wantMistake(t, harness.StartViewer(t, flag, "--preset=darker", "--record="+filepath.Join(t.TempDir(), "a.mkv")), 2, "there are dark")
}

// TestRemoteControlIsForbidden: with a message; the list stays.
func TestRemoteControlIsForbidden(t *testing.T) {
	harness.IsolateDirs(t)
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag, "--no-remote-control", "--keep-rate")
	v := harness.StartRecordingViewer(t, flag, "--keep-rate")
	v.WaitText("the sender does not allow changing them (tbcam-send --no-remote-control)")
	wantMistake(t, harness.Start(t, nil, "tbcam-view", "control", "brightness=1", flag), 1, "the sender does not allow changing them (tbcam-send --no-remote-control)")
	if got := harness.ListControls(t, flag); got["brightness"] != 0 || got["exposure_dynamic_framerate"] != 0 {
		t.Errorf("listed are %v", got)
	}
}

// TestModeOfARunningViewer: it is changed from outside, and what cannot be had is
// taken back.
func TestModeOfARunningViewer(t *testing.T) {
	harness.IsolateDirs(t)
	flag, _ := harness.NewSocket(t)
	wantMistake(t, harness.Start(t, nil, "tbcam-view", "mode", flag), 6, "no tbcam-view is running on this stream")
	harness.StartSender(t, flag)
	v := harness.StartRecordingViewer(t, flag)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
	harness.WantAnswer(t, "Test pattern, yuyv 320x240 30 fps", flag, "mode")
	complete := harness.Start(t, nil, "tbcam-view", "__complete", flag, "control", "bri")
	if code := complete.WaitExit(); code != 0 || !strings.Contains(complete.Out.String(), "block_speed=\n") {
		t.Errorf("completion offers %q", complete.Out.String())
	}
	harness.WantAnswer(t, "Test pattern, yuyv 640x480 30 fps", flag, "mode", "--size=640x480")
	harness.WantAnswer(t, "Test pattern, yuyv 640x480 60 fps", flag, "mode", "--fps=60")
	wantMistake(t, harness.Start(t, nil, "tbcam-view", "mode", flag, "--size=641x480"), 5, "nearest: yuyv 640x480 60 fps")
	harness.WaitUntil(t, "the mode before", func() bool {
		p := harness.Start(t, nil, "tbcam-view", "mode", flag)
		return p.WaitExit() == 0 && strings.Contains(p.Out.String(), "yuyv 640x480 60 fps")
	})
	before := harness.CountFrames(v)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > before })
}

// TestHubCannotOpen: a directory in which no socket can be keeps nobody from viewing.
func TestHubCannotOpen(t *testing.T) {
	harness.IsolateDirs(t)
	if err := os.WriteFile(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "tbcam"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag)
	v := harness.StartRecordingViewer(t, flag)
	v.WaitText("other viewers of this host cannot attach")
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
}
