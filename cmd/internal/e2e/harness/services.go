package harness

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/fixtures/systemd"
)

// Services are both programs as services of a user, as packages install them, under a
// systemd of the test.
type Services struct {
	*systemd.Manager
	t        *testing.T
	packages string // directory packaging of the repository
}

// InstallServices boots systemd, and installs what packages do, without documentation. top is
// the top directory of the repository.
func InstallServices(t *testing.T, top string) Services {
	t.Helper()
	const prefix = "/usr/local"
	s := Services{systemd.Start(t), t, filepath.Join(top, "packaging")}
	for _, program := range []string{"tbcam-send", "tbcam-view"} {
		s.Install("755", filepath.Join(Bin, program), prefix+"/bin")
		s.Install("644", filepath.Join(s.packages, "systemd", program+".service"), prefix+"/lib/systemd/user")
	}
	s.Install("644", filepath.Join(s.packages, "systemd/tbcam-record.service"), prefix+"/lib/systemd/system")
	s.Install("644", filepath.Join(s.packages, "udev/70-tbcam.rules"), prefix+"/lib/udev/rules.d")
	return s
}

// RunScript runs a script of the packages.
func (s Services) RunScript(name string, args ...string) {
	s.t.Helper()
	path, err := filepath.Abs(filepath.Join(s.packages, "scripts", name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.Run(append([]string{"sh", path}, args...)...)
}

// SetUp has the user run setup of a program, who is not logged in.
func (s Services) SetUp(program string, flags ...string) (out string) {
	s.t.Helper()
	c := s.Command(append([]string{"env", "SUDO_USER=" + systemd.User, program, "setup", "--service"}, flags...)...)
	text, _ := c.CombinedOutput() // what is incomplete depends on the machine
	if want := "run   sudo -u " + systemd.User + " SYSTEMD_OFFLINE=1 systemctl --user enable " + program + ".service\n"; !strings.Contains(string(text), want) {
		s.t.Fatalf("%s setup does not print %q:\n%s", program, want, text)
	}
	return string(text)
}

// Crash kills a service, which comes back.
func (s Services) Crash(unit string) {
	s.t.Helper()
	before := s.Property(unit, "InvocationID")
	s.RunAsUser("systemctl", "--user", "kill", "--signal=KILL", unit)
	s.WaitUntil(unit+" to be started again", func() bool {
		return s.Property(unit, "InvocationID") != before && s.Property(unit, "ActiveState") == "active"
	})
}

// StartReader has a unit of the user read a virtual camera, again where it fails; stop ends it.
func (s Services) StartReader(command ...string) (stop func()) {
	s.t.Helper()
	s.RunAsUser(append([]string{"systemd-run", "--user", "--quiet", "--collect", "--unit=reader", "--property=Restart=always", "--property=RestartSec=1"}, command...)...)
	return func() { s.RunAsUser("systemctl", "--user", "stop", "reader") }
}
