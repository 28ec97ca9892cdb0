package desktop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/systemd"
)

// units are the services of a user.
var units = []string{"tbcam-send", "tbcam-view"}

// TestUserUnits: services of an ordinary user under systemd, from setup and login to the camera and the
// microphone in an application; through a restart, crashes, an upgrade and the removal.
func TestUserUnits(t *testing.T) {
	s := harness.InstallServices(t, "../../../..")
	stream := fmt.Sprintf("stream = \"unix:%s/s.sock\"\n", s.RuntimeDir())
	s.Configure(".config/tbcam/send.toml", stream+"camera = [\"pattern\"]\nsize = \"320x240\"\nmicrophone = \"pattern\"\n")
	s.Configure(".config/tbcam/view.toml", stream+"virtual-microphone = true\n")
	for _, program := range units {
		s.SetUp(program)
	}
	began := time.Now()
	s.LogIn()
	wantUnitsWork(t, s, "after login")
	t.Logf("the camera was in use %.1f s after login", time.Since(began).Seconds())
	wantLevels(t, s)
	wantSnapshotBesideService(t, s)
	wantMicrophone(t, s)
	wantUnpairedRefused(t, s)
	s.RunAsUser("systemctl", "--user", "restart", units[0], units[1])
	wantUnitsWork(t, s, "after a restart")
	for _, unit := range units {
		s.Crash(unit)
	}
	wantUnitsWork(t, s, "after crashes")
	before := s.Property("tbcam-view", "InvocationID")
	s.RunScript("postinstall", "configure", "1.0")
	if s.Property("tbcam-view", "InvocationID") == before {
		t.Error("an upgrade leaves the old program running")
	}
	wantUnitsWork(t, s, "after an upgrade")
	s.RunScript("preremove", "remove")
	for _, unit := range units {
		if state, file := s.Property(unit, "ActiveState"), s.Property(unit, "UnitFileState"); state != "inactive" || file != "disabled" {
			t.Errorf("after the removal %s is %s and %s", unit, state, file)
		}
	}
}

// wantUnitsWork has an application of the user read the camera, and checks the status lines.
func wantUnitsWork(t *testing.T, s harness.Services, when string) {
	t.Helper()
	s.WaitStatus("tbcam-view", "connected; 0 applications")
	s.WaitStatus("tbcam-send", "camera off")
	stop := s.StartReader("gst-launch-1.0", "-q", "pipewiresrc", "target-object=tbcam", "!", "videoconvert", "!", "fakesink")
	s.WaitStatus("tbcam-view", "connected; 1 application")
	s.WaitStatus("tbcam-send", "camera on")
	if out := s.RunAsUser("systemctl", "--user", "--no-pager", "--lines=0", "status", "tbcam-view"); !strings.Contains(out, `Status: "camera on; `) {
		t.Errorf("%s systemctl status shows:\n%s", when, out)
	}
	stop()
}

// wantMicrophone has an application of the user listen to the virtual microphone, for which the
// far one is turned on.
func wantMicrophone(t *testing.T, s harness.Services) {
	t.Helper()
	const on = "microphone is on (microphone: Test microphone"
	if log := s.Journal("tbcam-send", "info"); strings.Contains(log, on) {
		t.Errorf("before anybody listens the sender logs:\n%s", log)
	}
	stop := s.StartReader("pw-cat", "--record", "--target=tbcam-mic", "--channels=1", systemd.Home+"/call.wav")
	s.WaitUntil("a sound", func() bool {
		samples, err := s.Command("tail", "--bytes=+45", systemd.Home+"/call.wav").Output()
		return err == nil && strings.Trim(string(samples), "\x00") != "" // else there is no file yet
	})
	stop()
	if log := s.Journal("tbcam-send", "info"); !strings.Contains(log, on) {
		t.Errorf("the sender logs:\n%s", log)
	}
}

// wantLevels checks the levels of lines in the journal.
func wantLevels(t *testing.T, s harness.Services) {
	t.Helper()
	for _, unit := range units {
		if info := s.Journal(unit, "info"); !strings.Contains(info, unit+": camera is on") || strings.Contains(info, "<6>") {
			t.Errorf("of level info the journal of %s has:\n%s", unit, info)
		}
	}
}

// wantSnapshotBesideService checks that the user's other viewers share the service's stream.
func wantSnapshotBesideService(t *testing.T, s harness.Services) {
	t.Helper()
	s.RunAsUser("tbcam-view", "--snapshot=now.png", "--skip=0", "--timeout=30s")
	if size := s.Run("stat", "--format=%s", systemd.Home+"/now.png"); size == "0\n" {
		t.Error("the snapshot is empty")
	}
	if log := s.Journal("tbcam-send", "info"); strings.Count(log, "viewer connected") != 1 {
		t.Errorf("the sender logs:\n%s", log)
	}
}

// wantUnpairedRefused checks that a unit serves nobody who is not paired, and logs that as an error.
func wantUnpairedRefused(t *testing.T, s harness.Services) {
	t.Helper()
	out, err := s.UserCommand("systemd-run", "--user", "--wait", "--unit=anybody", "/usr/local/bin/tbcam-send", "--allow-unpaired", "--camera=pattern", "--stream=unix:"+s.RuntimeDir()+"/other.sock").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "status=2\n") {
		t.Errorf("systemd-run: %v: %s", err, out)
	}
	// Of a process that has ended, the journal may not know the unit.
	if log := s.Run("journalctl", "--no-pager", "--output=cat", "--priority=err"); !strings.Contains(log, "--allow-unpaired is not for services") {
		t.Errorf("it logs %q", log)
	}
}

// TestRecordingUnit: the recording unit records, begins another file when it is reloaded, and
// completes both.
func TestRecordingUnit(t *testing.T) {
	const unit, user = "tbcam-record", "tbcam-record"
	s := harness.InstallServices(t, "../../../..")
	s.Write("/etc/systemd/system/"+unit+".service.d/test.conf", "[Service]\nEnvironment=TBCAM_STREAM=unix:/run/tbcam-record/s.sock\n")
	s.Run("systemctl", "daemon-reload")
	s.Run("systemctl", "start", unit)
	s.Run("systemd-run", "--quiet", "tbcam-send", "--camera=pattern", "--size=320x240", "--allow-user="+user, "--stream=unix:/run/tbcam-record/s.sock")
	waitFiles := func(n int) {
		s.WaitUntil(fmt.Sprint(n, " recordings"), func() bool {
			return strings.Count(s.Run("find", "/var/lib/private/tbcam", "-name", "*.mkv"), "\n") == n
		})
	}
	waitFiles(1)
	time.Sleep(time.Second) // the names are of seconds
	s.Run("systemctl", "reload", unit)
	waitFiles(2)
	s.Run("systemctl", "stop", unit)
	if log := s.Run("journalctl", "--no-pager", "--output=cat", "--unit="+unit, "--priority=info..info"); strings.Count(log, "tbcam-view: recorded /var/lib/tbcam/") != 2 {
		t.Errorf("it logs:\n%s", log)
	}
	if trouble := s.Run("journalctl", "--no-pager", "--output=cat", "--unit="+unit, "--priority=warning"); strings.Contains(trouble, "tbcam-view: ") {
		t.Errorf("it logs troubles:\n%s", trouble)
	}
}
