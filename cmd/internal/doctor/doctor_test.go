package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/capture/v4l2"
)

const kernel = "6.1.0-9-amd64"

// files are those of a machine.
type files map[string]string

// machine returns one whose root holds the files.
func machine(t *testing.T, f files, nodes ...v4l2.LoopbackNode) Machine {
	t.Helper()
	root := t.TempDir()
	f = with(f, files{"/proc/sys/kernel/osrelease": kernel + "\n"})
	for path, text := range f {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return Machine{
		Root: root, Home: "/home/me", Nodes: func() ([]v4l2.LoopbackNode, error) { return nodes, nil },
		Session: Session{PipeWire: pipewire.ErrNotRunning},
	}
}

func with(a, b files) files {
	all := files{}
	for _, f := range []files{a, b} {
		for path, text := range f {
			all[path] = text
		}
	}
	return all
}

var (
	loaded = files{"/sys/module/v4l2loopback/version": "0.15.4\n", "/sys/module/v4l2loopback/parameters/exclusive_caps": "Y,N\n"}
	booted = files{"/etc/modules-load.d/a.conf": "v4l2loopback\n", "/etc/modprobe.d/a.conf": "options v4l2loopback exclusive_caps=1\n"}
	debian = files{"/etc/os-release": "ID=debian\n"}
	fedora = files{"/etc/os-release": "ID=fedora\n"}
	free   = v4l2.LoopbackNode{Path: "/dev/video9", Name: "tbcam", Output: true, Exclusive: true, MaxOpeners: 10}
)

func TestFindings(t *testing.T) {
	used, both, few, kept, shut := free, free, free, free, v4l2.LoopbackNode{Path: "/dev/video8"}
	used.Capture, used.Output, used.Format = true, false, capture.Format{Pixel: capture.YUYV, Width: 1280, Height: 720}
	both.Capture, both.Exclusive = true, false
	few.MaxOpeners = 2
	kept.KeepsFormat = true
	shut.Err = fmt.Errorf("open /dev/video8: %w", capture.ErrNotAllowed)
	healthy := with(loaded, booted)
	efi := func(on string) files {
		return files{"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\x06\x00\x00\x00" + on}
	}
	flatpak := func(devices string) files {
		return with(healthy, files{"/home/me/.local/share/flatpak/app/us.zoom.Zoom/current/active/metadata": "[Context]\ndevices=" + devices + "\n"})
	}
	for _, tt := range []struct {
		name    string
		machine Machine
		works   bool
		grade   Grade // of the finding with the message
		message string
		remedy  string
	}{
		{"all is well", machine(t, healthy, free), true, Good, "v4l2loopback 0.15.4 is loaded (exclusive_caps=Y,N)", ""},
		{"the node", machine(t, healthy, free), true, Good, "/dev/video9 (tbcam) is free", ""},
		{"at boot", machine(t, healthy, free), true, Good, "loaded at boot", ""},
		{"tbcam-view runs", machine(t, healthy, used), true, Good, "in use: applications see yuyv 1280x720", ""},
		{"old module", machine(t, with(healthy, files{"/sys/module/v4l2loopback/version": "0.12.7"}), free), true, Hint, "stays on", "0.13 or newer"},
		{"not installed", machine(t, debian), false, Bad, "not installed", "sudo apt install v4l2loopback-dkms linux-headers-" + kernel},
		{"not installed on Fedora", machine(t, fedora), false, Bad, "not installed", "sudo dnf install akmod-v4l2loopback kernel-devel-" + kernel},
		{"not built on Fedora", machine(t, with(fedora, files{"/usr/src/v4l2loopback-0.15.1/x": ""})), false, Bad, "not built", "sudo akmods --force"},
		{"not built", machine(t, files{"/usr/src/v4l2loopback-0.12.7/dkms.conf": ""}), false, Bad, "not built for this kernel", "dkms autoinstall"},
		{"not loaded", machine(t, files{"/lib/modules/" + kernel + "/modules.dep": "updates/dkms/v4l2loopback.ko:\n"}), false, Bad,
			"not loaded", "sudo modprobe v4l2loopback exclusive_caps=1 card_label=tbcam"},
		{"Secure Boot", machine(t, efi("\x01")), false, Hint, "Secure Boot is on", "mokutil --import /var/lib/dkms/mok.pub"},
		{"Secure Boot of Ubuntu", machine(t, with(efi("\x01"), files{mokUbuntu: ""})), false, Hint, "Secure Boot is on", mokUbuntu},
		{"no node", machine(t, healthy), false, Bad, "no v4l2loopback node", "sudo modprobe -r v4l2loopback; sudo modprobe"},
		{"no node, newer module", machine(t, with(healthy, files{"/dev/v4l2loopback": ""})), false, Bad, "no v4l2loopback node", "v4l2loopback-ctl add"},
		{"without exclusive_caps", machine(t, healthy, both), false, Bad, "Chromium and others do not list it", "exclusive_caps=1"},
		{"another without exclusive_caps", machine(t, healthy, both, free), true, Hint, "Chromium and others do not list it", "exclusive_caps=1"},
		{"no permission", machine(t, healthy, shut), false, Bad, "open /dev/video8: permission denied", "sudo usermod -aG video $USER, and log in again"},
		{"few openers", machine(t, healthy, few), true, Hint, "2 programs at a time", "tee /sys/class/video4linux/video9/max_openers"},
		{"kept format", machine(t, healthy, kept), true, Hint, "has the format of another program", "--virtual-camera-size"},
		{"not at boot", machine(t, loaded, free), true, Hint, "not loaded at boot", "/etc/modules-load.d/v4l2loopback.conf"},
		{"blacklisted", machine(t, with(healthy, files{"/etc/modprobe.d/b.conf": "blacklist v4l2loopback\n"}), free), true, Hint, "blacklisted", "grep"},
		{"Snap", machine(t, with(healthy, files{"/snap/chromium/current": ""}), free), true, Hint, "the Snap chromium", "snap connect chromium:camera"},
		{"PipeWire misses nodes", machine(t, with(healthy, files{"/usr/bin/wireplumber": ""}), free), true, Hint, "may miss a camera", "restart wireplumber"},
		{"Flatpak", machine(t, flatpak("dri;"), free), true, Hint, "the Flatpak us.zoom.Zoom", "flatpak override --user --device=all us.zoom.Zoom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFinding(t, tt.machine, tt.works, Finding{tt.grade, tt.message, tt.remedy})
		})
	}
}

// wantFinding checks whether calls work on a machine, and that a finding and its remedy
// have the texts.
func wantFinding(t *testing.T, m Machine, works bool, want Finding) {
	t.Helper()
	findings := m.Examine()
	var text strings.Builder
	if err := Print(&text, findings); err != nil {
		t.Fatal(err)
	}
	if Works(findings) != works {
		t.Errorf("calls work: %v, want %v", !works, works)
	}
	if !slices.ContainsFunc(findings, func(f Finding) bool {
		return strings.Contains(f.What, want.What) && strings.Contains(f.Remedy, want.Remedy) && f.Grade == want.Grade
	}) {
		t.Errorf("%v %q with the remedy %q is not among\n%s", want.Grade, want.What, want.Remedy, text.String())
	}
}

// TestNothingToSay: what is in order brings no hint.
func TestNothingToSay(t *testing.T) {
	allowed := files{"/var/lib/flatpak/app/us.zoom.Zoom/current/active/metadata": "[Context]\nsockets=x11;\ndevices=all;\n"}
	off := files{"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\x06\x00\x00\x00\x00"}
	m := machine(t, with(with(loaded, booted), with(allowed, off)), free)
	m.Session = serving
	for _, f := range m.Examine() {
		if f.Grade != Good || f.Remedy != "" {
			t.Errorf("%v: %s -> %s", f.Grade, f.What, f.Remedy)
		}
	}
}
