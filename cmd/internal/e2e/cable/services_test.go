//go:build cable && services

package cable

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestServicesOverTheCable: units of an ordinary user, set up before login, have a camera's driver at one
// end of the cable and a virtual camera's at the other; after a replug and after suspend, too.
func TestServicesOverTheCable(t *testing.T) {
	camera, node := vm.LoadVivid(t, 1)[0], vm.LoadLoopback(t) // removed when the services have ended
	t.Cleanup(func() {
		// udev still looks at the node that the last writer left.
		harness.WaitUntil(t, "v4l2loopback", func() bool { return content(t, "/sys/module/v4l2loopback/refcnt") == "0" })
	})
	s := harness.InstallServices(t, ".")
	s.Run("udevadm", "trigger", "--action=add", "--settle", "--subsystem-match=video4linux") // gives them to the group video
	s.Configure(".config/tbcam/send.toml", fmt.Sprintf("stream = \"tbcam@%s\"\ncamera = [%q]\nsize = \"320x180\"\nfps = 15\n", service(t, "0"), camera))
	s.Configure(".config/tbcam/view.toml", fmt.Sprintf("stream = \"tbcam@%s\"\nvirtual-camera-size = \"320x180\"\n", service(t, "1")))
	for program, host := range map[string]string{"tbcam-view": "1", "tbcam-send": "0"} {
		if out := s.SetUp(program, "--stream=tbcam@"+service(t, host)); !strings.Contains(out, "ok    anna may open /dev/tbstream") || strings.Contains(out, "WRONG") {
			t.Errorf("%s setup prints:\n%s", program, out)
		}
	}
	s.LogIn()
	wantCameraInUse(t, s, node, "after login")
	set(t, knob("plug"), 0)
	s.WaitStatus("tbcam-view", "waiting for tbcam-send")
	set(t, knob("plug"), 1)
	wantCameraInUse(t, s, node, "after a replug")
	suspendForTest(t)
	wantCameraInUse(t, s, node, "after suspend")
}

// wantCameraInUse has an application of the user read the virtual camera, for which the far
// one is turned on.
func wantCameraInUse(t *testing.T, s harness.Services, node, when string) {
	t.Helper()
	began := time.Now()
	s.WaitStatus("tbcam-view", "connected; 0 applications")
	stop := s.StartReader("v4l2-ctl", "--device="+node, "--stream-mmap", "--stream-count=1000000")
	s.WaitStatus("tbcam-view", "camera on; ")
	s.WaitStatus("tbcam-send", "camera on; ")
	t.Logf("%s: the camera was in use after %v", when, round(time.Since(began)))
	stop()
}

// suspendForTest has the kernel freeze all processes for two seconds, and thaw them, as it does
// when it suspends (pm_test).
func suspendForTest(t *testing.T) {
	t.Helper()
	set(t, "/sys/module/suspend/parameters/pm_test_delay", 2)
	set(t, "/sys/power/pm_test", "freezer")
	began := time.Now()
	set(t, "/sys/power/state", "freeze")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("nothing was suspended: it took %v", took)
	}
}
