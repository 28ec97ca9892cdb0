//go:build vm

package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestKilledProgramsComeBackToTheVirtualCamera: the application that reads it
// needs not be started again either.
func TestKilledProgramsComeBackToTheVirtualCamera(t *testing.T) {
	camera, node := vm.LoadVivid(t, 1)[0], vm.LoadLoopback(t)
	flag, _ := harness.NewSocket(t)
	dir := keepDir(t)
	recording := func(n int) string { return filepath.Join(dir, fmt.Sprint(n, ".mkv")) }
	watch := func(n int, more ...string) *harness.Program {
		return harness.StartViewer(t, flag, append(more, "--stats=json", "--virtual-camera="+node, "--record="+recording(n))...)
	}
	send := func() *harness.Program {
		return harness.Start(t, nil, "tbcam-send", append(vividMode, flag, "--camera="+camera, "--format=yuyv")...)
	}

	v, s := watch(1, "--virtual-camera-size=320x180"), send()
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 1 })
	seen := filepath.Join(t.TempDir(), "seen")
	background(t, "v4l2-ctl", "-d", node, "--stream-mmap", "--stream-to="+seen)
	reads := func(when string) {
		t.Helper()
		before := size(seen)
		harness.WaitUntil(t, "frames for the application "+when, func() bool { return size(seen) > before+5*320*180*2 })
	}
	reads("at first")

	s.Stop(syscall.SIGKILL)
	v.WaitText("lost the connection to the sender")
	before := harness.CountFrames(v)
	s = send()
	harness.WaitUntil(t, "frames of the new sender", func() bool { return harness.CountFrames(v) > before })
	reads("after the sender's death")

	harness.WaitUntil(t, "a recording", func() bool { return outcome(v, "recorded") > 0 })
	v.Stop(syscall.SIGKILL)
	s.WaitText("viewer disconnected")
	watch(2) // the application holds the size
	reads("after the viewer's death")
	t.Logf("the viewer that was killed left %d frames", len(probe(t, recording(1)).Packets))
}

// size returns how long a file is by now.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
