package local

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// completions returns what the shells get for a command line.
func completions(t *testing.T, settings []string, program string, args ...string) []string {
	t.Helper()
	p := harness.Start(t, settings, program, append([]string{"__complete"}, args...)...)
	if code := p.WaitExit(); code != 0 {
		t.Errorf("%q: exit code %d", args, code)
	}
	var values []string
	for _, line := range strings.Split(p.Out.String(), "\n") {
		value, _, _ := strings.Cut(line, "\t")
		values = append(values, value)
	}
	return values
}

// TestCompletion: the shells complete what this host's cameras have, and the far camera as the
// tbcam-view that runs knows it; streams that are set up; and presets.
func TestCompletion(t *testing.T) {
	t.Parallel()
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag)
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	v.WaitText("camera is on")
	root, config := t.TempDir(), t.TempDir()
	writeTree(t, root, "/sys/kernel/config/thunderbolt/stream/0-1.1/tbcam/index", "3\n")
	writeTree(t, root, "/sys/kernel/config/thunderbolt/stream/1-1.1/tbcam/index", "4\n")
	writeTree(t, root, "/sys/kernel/config/thunderbolt/stream/1-1.1/second/index", "5\n")
	writeTree(t, config, "/tbcam/presets/evening.json", "{}")
	settings := []string{"TBCAM_ROOT=" + root, "XDG_CONFIG_HOME=" + config}
	for _, c := range []struct{ program, args, want string }{
		{"tbcam-send", "--camera=", "auto pattern pattern2"},
		{"tbcam-send", "--camera=pattern --size=", "320x240 1920x1080"},
		{"tbcam-send", "--camera=pattern --format=", "yuyv nv12"},
		{"tbcam-view", flag + " --camera=", "auto pattern"},
		{"tbcam-view", flag + " --fps=", "5 15 30 60"},
		{"tbcam-view", "mode " + flag + " --size=", "320x240"},
		{"tbcam-view", flag + " control bri", "brightness="},
		{"tbcam-view", "--preset=", "evening"},
		{"tbcam-view", "--stream=", "tbcam@0-1.1 tbcam@1-1.1 second"},
	} {
		offered := completions(t, settings, c.program, strings.Split(c.args, " ")...)
		for _, want := range strings.Fields(c.want) {
			if !contains(offered, want) {
				t.Errorf("%s %s: %q is not among %q", c.program, c.args, want, offered)
			}
		}
	}
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d of the viewer", code)
	}
}

func contains(offered []string, want string) bool {
	for _, o := range offered {
		if o == want || strings.HasSuffix(o, "="+want) {
			return true
		}
	}
	return false
}
