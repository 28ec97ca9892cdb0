package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// home gives the programs of a test directories of their own for sockets and
// presets.
func home(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
}

// ask runs a command of tbcam-view to its end and returns what it printed.
func ask(t *testing.T, flag string, args ...string) string {
	t.Helper()
	p := start(t, nil, "tbcam-view", append(args, flag)...)
	if code := p.code(); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, p.stderr.String())
	}
	return strings.TrimSpace(p.stdout.String())
}

// wantAnswer checks what a command prints.
func wantAnswer(t *testing.T, want, flag string, args ...string) {
	t.Helper()
	if got := ask(t, flag, args...); got != want {
		t.Errorf("%v prints %q, want %q", args, got, want)
	}
}

// listed returns the values that tbcam-view controls --json prints.
func listed(t *testing.T, flag string) map[string]int64 {
	t.Helper()
	var list []struct {
		Key   string
		Value int64
	}
	if err := json.Unmarshal([]byte(ask(t, flag, "controls", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]int64)
	for _, c := range list {
		values[c.Key] = c.Value
	}
	return values
}

// wantMistake waits for the end of a command that cannot be carried out; the last
// thing it says is why.
func wantMistake(t *testing.T, p *program, code int, says string) {
	t.Helper()
	got := p.code()
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	if got != code || !strings.Contains(lines[len(lines)-1], says) {
		t.Errorf("exit code %d, want %d; it says %q, want %q", got, code, lines, says)
	}
}

// watching is a viewer that shows nothing and prints figures.
func watching(t *testing.T, flag string, more ...string) *program {
	return viewer(t, flag, append(more, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))...)
}

// TestControls: with and without a viewer that has the stream.
func TestControls(t *testing.T) {
	for _, watched := range []bool{false, true} {
		name := map[bool]string{false: "alone", true: "beside a viewer"}[watched]
		t.Run(name, func(t *testing.T) {
			home(t)
			flag, _ := socket(t)
			s := sender(t, flag)
			if watched {
				v := watching(t, flag)
				until(t, "frames", func() bool { return frames(v) > 0 })
			}
			wantAnswer(t, "brightness=0", flag, "control", "brightness")
			wantAnswer(t, "brightness=20\nblock=Still", flag, "control", "Brightness=20", "block=still")
			if got := listed(t, flag); got["brightness"] != 20 || got["block"] != 2 || got["block_speed"] != 4 {
				t.Errorf("listed are %v", got)
			}
			if text := ask(t, flag, "controls"); !strings.Contains(text, "block_speed") || !strings.Contains(text, "None | Moving | Still") {
				t.Errorf("the list is\n%s", text)
			}
			for arg, want := range map[string]struct {
				code int
				says string
			}{
				"brightness=65":  {2, "brightness: 65 is out of range (-64 to 64)"},
				"brigthness=1":   {2, "nearest: brightness,"},
				"block=sideways": {2, "0 (None), 1 (Moving), 2 (Still)"},
				"block_speed=8":  {1, "block_speed is inactive"},
			} {
				wantMistake(t, start(t, nil, "tbcam-view", "control", arg, flag), want.code, want.says)
			}
			wantAnswer(t, "brightness=0\nblock=Moving", flag, "control", "--reset")
			if on := strings.Contains(s.stderr.String(), "camera is on"); on != watched {
				t.Errorf("the camera was on: %t", on)
			}
		})
	}
}

// TestControlsAreSetAgain: by the viewer that runs, when the sender came back with
// a camera that knows nothing of what was set.
func TestControlsAreSetAgain(t *testing.T) {
	home(t)
	flag, _ := socket(t)
	first := sender(t, flag)
	v := watching(t, flag, "--keep-rate")
	until(t, "frames", func() bool { return frames(v) > 0 })
	ask(t, flag, "control", "brightness=-30", "block_speed=12")
	if saved := ask(t, flag, "control", "--save", "dark"); !strings.HasSuffix(saved, "/tbcam/presets/dark.json") {
		t.Errorf("it says %q", saved)
	}
	want := map[string]int64{"brightness": -30, "block": 1, "block_speed": 12, "exposure_dynamic_framerate": 0}
	restored := func() bool {
		got := listed(t, flag)
		for key, value := range want {
			if got[key] != value {
				return false
			}
		}
		return true
	}
	first.end(syscall.SIGKILL)
	second := sender(t, flag)
	second.says("camera is on")
	until(t, "the values", restored)
	v.end(syscall.SIGTERM)

	// A preset does so in another run, here on a camera that has forgotten again.
	second.end(syscall.SIGTERM)
	sender(t, flag)
	v = watching(t, flag, "--preset=dark")
	v.says("camera is on")
	until(t, "the preset", restored)
	ask(t, flag, "control", "brightness=default")
	if text := ask(t, flag, "control", "--load", "dark"); !strings.Contains(text, "brightness=-30") {
		t.Errorf("loaded was %q", text)
	}
	v.end(syscall.SIGTERM)
	wantMistake(t, viewer(t, flag, "--preset=darker", "--record="+filepath.Join(t.TempDir(), "a.mkv")), 2, "there are dark")
}

// TestRemoteControlIsForbidden: and said so; the list stays.
func TestRemoteControlIsForbidden(t *testing.T) {
	home(t)
	flag, _ := socket(t)
	sender(t, flag, "--no-remote-control", "--keep-rate")
	v := watching(t, flag, "--keep-rate")
	v.says("the sender does not allow changing them (tbcam-send --no-remote-control)")
	wantMistake(t, start(t, nil, "tbcam-view", "control", "brightness=1", flag), 1, "the sender does not allow changing them (tbcam-send --no-remote-control)")
	if got := listed(t, flag); got["brightness"] != 0 || got["exposure_dynamic_framerate"] != 0 {
		t.Errorf("listed are %v", got)
	}
}

// TestModeOfARunningViewer: it is changed from outside, and what cannot be had is
// taken back.
func TestModeOfARunningViewer(t *testing.T) {
	home(t)
	flag, _ := socket(t)
	wantMistake(t, start(t, nil, "tbcam-view", "mode", flag), 6, "no tbcam-view is running on this stream")
	sender(t, flag)
	v := watching(t, flag)
	until(t, "frames", func() bool { return frames(v) > 0 })
	wantAnswer(t, "Test pattern, yuyv 320x240 30 fps", flag, "mode")
	complete := start(t, nil, "tbcam-view", "__complete", flag, "control", "bri")
	if code := complete.code(); code != 0 || !strings.Contains(complete.stdout.String(), "block_speed=\n") {
		t.Errorf("completion offers %q", complete.stdout.String())
	}
	wantAnswer(t, "Test pattern, yuyv 640x480 30 fps", flag, "mode", "--size=640x480")
	wantAnswer(t, "Test pattern, yuyv 640x480 60 fps", flag, "mode", "--fps=60")
	wantMistake(t, start(t, nil, "tbcam-view", "mode", flag, "--size=641x480"), 5, "nearest: yuyv 640x480 60 fps")
	until(t, "the mode before", func() bool {
		p := start(t, nil, "tbcam-view", "mode", flag)
		return p.code() == 0 && strings.Contains(p.stdout.String(), "yuyv 640x480 60 fps")
	})
	before := frames(v)
	until(t, "frames", func() bool { return frames(v) > before })
}

// TestDoorCannotOpen: a directory without doors keeps nobody from viewing.
func TestDoorCannotOpen(t *testing.T) {
	home(t)
	if err := os.WriteFile(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "tbcam"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	flag, _ := socket(t)
	sender(t, flag)
	v := watching(t, flag)
	v.says("will not work")
	until(t, "frames", func() bool { return frames(v) > 0 })
}
