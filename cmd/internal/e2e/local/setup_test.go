package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/otheruser"
)

// setupHost is a host whose files are in a directory, with a program that only root can
// replace.
type setupHost struct {
	t                 *testing.T
	root, stream, dir string
	ran               string // what a fake systemctl was given, and by whom
	settings          []string
	permanent         map[string]string // files, and what is in them
}

// newSetupHost needs root, as the command does.
func newSetupHost(t *testing.T) *setupHost {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("setup needs root")
	}
	h := &setupHost{t: t}
	h.root, h.stream = fakeConfigFS(t)
	if err := os.Chmod(filepath.Dir(h.root), 0o755); err != nil { // the user looks at it, too
		t.Fatal(err)
	}
	var err error
	if h.dir, err = os.MkdirTemp("/run", "tbcam-test-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(h.dir) })
	if err := os.Chmod(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.ran = filepath.Join(otheruser.SharedDir(t), "systemctl")
	writeTree(t, h.dir, "/path/systemctl", "#!/bin/sh\necho \"$(id -un) $*\" >>"+h.ran+"\n")
	if err := os.Chmod(h.dir+"/path/systemctl", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"/usr/lib/systemd/user/tbcam-view.service", "/lib/modules/7.2.0/modules.dep"} {
		writeTree(t, h.root, f, "updates/v4l2loopback.ko:\n")
	}
	writeTree(t, h.root, "/proc/sys/kernel/osrelease", "7.2.0\n")
	writeTree(t, h.root, "/sys/module/v4l2loopback/version", "0.15.0\n")
	h.settings = []string{"TBCAM_ROOT=" + h.root, "SUDO_USER=" + otheruser.Name, "PATH=" + h.dir + "/path:" + os.Getenv("PATH")}
	h.permanent = map[string]string{
		h.stream + "in_hopid":                           "16",
		h.stream + "out_hopid":                          "16",
		h.stream + "ring_size":                          "64",
		"/etc/modules-load.d/tbcam-view.conf":           "thunderbolt_stream",
		"/etc/modules-load.d/tbcam-v4l2loopback.conf":   "v4l2loopback",
		"/etc/modprobe.d/tbcam-v4l2loopback.conf":       "exclusive_caps=1",
		"/etc/udev/rules.d/70-tbcam-view.rules":         `TAG+="uaccess"`,
		"/etc/udev/rules.d/71-tbcam-view-owner.rules":   `OWNER="65534"`,
		"/etc/udev/rules.d/70-tbcam-view-plug.rules":    "tbcam-view-setup@%k.service",
		"/etc/systemd/system/tbcam-view-setup@.service": `ExecStart="` + h.dir + `/tbcam-view" setup --once --stream=tbcam@%i`,
	}
	return h
}

// run runs the command, and returns what it printed.
func (h *setupHost) run(code int, flags ...string) string {
	h.t.Helper()
	p := startCopy(h.t, h.dir, h.settings, "tbcam-view", append([]string{"setup"}, flags...)...)
	if got := p.WaitExit(); got != code {
		h.t.Fatalf("setup %v: exit code %d: %s%s", flags, got, p.Out.String(), p.Err.String())
	}
	return p.Out.String()
}

func (h *setupHost) want(files map[string]string) {
	h.t.Helper()
	for path, want := range files {
		if text, err := os.ReadFile(h.root + path); err != nil || !strings.Contains(string(text), want) {
			h.t.Errorf("%s holds %q, %v; want %q", path, text, err, want)
		}
	}
}

func (h *setupHost) wantText(text string, parts ...string) {
	h.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			h.t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// TestSetup: one command does all that is missing, prints each step, and is safe to
// repeat. Without a terminal nothing optional is done unless a flag asks for it, and that
// as the user.
func TestSetup(t *testing.T) {
	h := newSetupHost(t)
	if out := h.run(0, "--dry-run"); strings.Contains(out, "is ready") {
		t.Errorf("a dry run prints:\n%s", out)
	}
	if left, _ := filepath.Glob(h.root + "/etc/*"); len(left) > 0 {
		t.Errorf("a dry run wrote %v", left)
	}
	out := h.run(0)
	h.want(h.permanent)
	h.wantText(out, "ok    thunderbolt_stream is loaded (Linux 7.2.0)", "run   write "+h.root+"/etc/udev/rules.d/70-tbcam-view.rules",
		`ok    stream "tbcam" is ready`, "hint  no v4l2loopback node exists", "-> sudo tbcam-view setup --service")
	if _, err := os.Stat(h.ran); err == nil {
		t.Error("it started a service that nobody asked for")
	}
	h.wantText(h.run(0, "--service"), "sudo -u nobody SYSTEMD_OFFLINE=1 systemctl --user enable tbcam-view.service")
	if got, _ := os.ReadFile(h.ran); string(got) != "nobody --user enable tbcam-view.service\n" {
		t.Errorf("systemctl was run as %q", got)
	}
	if again := h.run(0); strings.Contains(again, "run   ") {
		t.Errorf("the second time:\n%s", again)
	}
	for _, name := range []string{"index", "in_hopid", "out_hopid", "ring_size"} { // rmdir(2) takes those of ConfigFS with it
		if err := os.Remove(h.root + h.stream + name); err != nil {
			t.Fatal(err)
		}
	}
	h.run(0, "--remove")
	for path := range h.permanent {
		if _, err := os.Stat(h.root + path); err == nil {
			t.Errorf("--remove left %s", path)
		}
	}
}

// TestSetupOfCheckout: what others than root could replace never runs as root by itself.
func TestSetupOfCheckout(t *testing.T) {
	h := newSetupHost(t)
	h.dir = t.TempDir() // all may write one of those above
	h.wantText(h.run(0), "run sudo make install")
	for _, path := range []string{"/etc/systemd/system/tbcam-view-setup@.service", "/etc/udev/rules.d/70-tbcam-view-plug.rules"} {
		if _, err := os.Stat(h.root + path); err == nil {
			t.Errorf("it wrote %s", path)
		}
	}
	h.want(map[string]string{h.stream + "in_hopid": "16"})
}

// TestSetupWithoutAll: what is missing is a line with its remedy, and all else is done.
func TestSetupWithoutAll(t *testing.T) {
	h := newSetupHost(t)
	for _, path := range []string{"/sys/bus", "/sys/module"} {
		if err := os.RemoveAll(h.root + path); err != nil {
			t.Fatal(err)
		}
	}
	h.wantText(h.run(0, "--dry-run"), "run   modprobe v4l2loopback exclusive_caps=1 card_label=tbcam")
	writeTree(t, h.root, "/etc/modprobe.d/no.conf", "blacklist v4l2loopback\n")
	h.wantText(h.run(0), `hint  stream "tbcam" waits for the cable`)
	if err := os.RemoveAll(h.root + "/sys/kernel"); err != nil {
		t.Fatal(err)
	}
	writeTree(t, h.root, "/boot/config-7.2.0", "# CONFIG_USB4_STREAM is not set\n")
	writeTree(t, h.root, "/etc/os-release", "ID=debian\n")
	writeTree(t, h.dir, "/path/modprobe", "#!/bin/sh\necho not here >&2; exit 1\n")
	if err := os.Chmod(h.dir+"/path/modprobe", 0o755); err != nil {
		t.Fatal(err)
	}
	h.wantText(h.run(6), "WRONG the kernel module thunderbolt_stream is not loaded: this kernel (7.2.0) was built without CONFIG_USB4_STREAM",
		"sudo tbcam-view setup --build-module", "ok    the stream comes back at every plug and boot")
	p := harness.Start(t, append(h.settings, "SUDO_USER=root"), "tbcam-send", "setup", "--service", "--dry-run")
	if code := p.WaitExit(); code != 6 || !strings.Contains(p.Out.String(), "run it with sudo as that user") {
		t.Errorf("for root: exit code %d: %s", code, p.Out.String())
	}
}
