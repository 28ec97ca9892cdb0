package local

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// menuCommand returns what the desktop's menu runs.
func menuCommand(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../../packaging/tbcam.desktop")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^Exec=(.*)$`).FindSubmatch(text)
	if command == nil {
		t.Fatal("the menu entry runs nothing")
	}
	return strings.Fields(string(command[1]))
}

// TestMenuEntry: beside the service the menu's entry opens a window on the service's stream,
// and no second session; what is closed is the window alone.
func TestMenuEntry(t *testing.T) {
	harness.IsolateDirs(t)
	flag, path := harness.NewSocket(t)
	s := harness.StartSender(t, flag)
	service := harness.StartRecordingViewer(t, flag)
	service.WaitText("camera is on")
	display, command := xvfb.Start(t), menuCommand(t)
	window := harness.Start(t, []string{"DISPLAY=" + display.Name, "TBCAM_STREAM=unix:" + path}, command[0], command[1:]...)
	harness.WaitUntil(t, "a frame in the window", func() bool {
		_, err := pattern.ReadImage(display.Screenshot(t), windowBounds(t, display))
		return err == nil
	})
	if code := window.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	before := harness.CountFrames(service)
	harness.WaitUntil(t, "more frames of the service", func() bool { return harness.CountFrames(service) > before+10 })
	if text := s.Err.String(); strings.Count(text, "viewer connected") != 1 || strings.Contains(text, "camera is off") {
		t.Errorf("the sender logs:\n%s", text)
	}
}
