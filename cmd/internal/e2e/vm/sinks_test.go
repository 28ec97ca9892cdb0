//go:build vm

package vm

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestNoVirtualCamera: what cannot be one is refused, with the reason.
func TestNoVirtualCamera(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	flag, _ := harness.NewSocket(t)
	for _, c := range []struct{ loopback, message string }{
		{camera, "not a v4l2loopback node: it is vivid, driver vivid"},
		{"/dev/video99", "sudo modprobe v4l2loopback"},
	} {
		t.Run(c.loopback, func(t *testing.T) {
			wantRefusal(t, harness.StartViewer(t, flag, "--virtual-camera="+c.loopback), 7, c.message)
		})
	}
}

// TestFullDisk: that is logged once and again at the end, and what is there is whole.
func TestFullDisk(t *testing.T) {
	camera := vm.LoadVivid(t, 1)[0]
	disk := t.TempDir()
	harness.RunTool(t, "mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", disk)
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	flag, _ := harness.NewSocket(t)
	file := filepath.Join(disk, "a.mkv")
	v := harness.StartViewer(t, flag, "--record="+file)
	harness.Start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera, "--format=yuyv", "--codec=raw")...)
	v.WaitText("recording stalled")
	if code := v.Stop(syscall.SIGINT); code != 7 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(v.Err.String(), "no space left on device"); n != 2 {
		t.Errorf("that the disk is full is logged %d times", n)
	}
	t.Logf("%d frames were saved", len(probe(t, file).Packets))
}
