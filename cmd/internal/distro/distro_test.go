package distro

import (
	"os"
	"path/filepath"
	"testing"
)

// releases are what /etc/os-release has in some distributions.
var releases = map[string]string{
	"Debian":      "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n",
	"Ubuntu":      "ID=ubuntu\nID_LIKE=debian\n",
	"Linux Mint":  "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
	"Fedora":      "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=43\n",
	"Nobara":      "ID='nobara'\nID_LIKE='rhel centos fedora'\n",
	"Arch":        "ID=arch\n",
	"CachyOS":     "ID=cachyos\nID_LIKE=arch\n",
	"openSUSE":    "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n",
	"nothing":     "",
	"ID_LIKE=...": "X_ID=arch\nID_LIKED=arch\n",
}

func TestInstall(t *testing.T) {
	for name, want := range map[string]string{
		"Debian":      "sudo apt install v4l2loopback-dkms linux-headers-6.1.0-9",
		"Ubuntu":      "sudo apt install v4l2loopback-dkms linux-headers-6.1.0-9",
		"Linux Mint":  "sudo apt install v4l2loopback-dkms linux-headers-6.1.0-9",
		"Fedora":      "sudo dnf install akmod-v4l2loopback kernel-devel-6.1.0-9",
		"Nobara":      "sudo dnf install akmod-v4l2loopback kernel-devel-6.1.0-9",
		"Arch":        "sudo pacman -S v4l2loopback-dkms linux-headers",
		"CachyOS":     "sudo pacman -S v4l2loopback-dkms linux-headers",
		"openSUSE":    "install v4l2loopback-dkms linux-headers-6.1.0-9",
		"nothing":     "install v4l2loopback-dkms linux-headers-6.1.0-9",
		"ID_LIKE=...": "install v4l2loopback-dkms linux-headers-6.1.0-9",
	} {
		if got := detect(t, releases[name]).Install(V4L2Loopback, Headers); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestRebuild(t *testing.T) {
	for name, want := range map[string]string{"Fedora": "sudo akmods --force", "Arch": "sudo dkms autoinstall", "nothing": "sudo dkms autoinstall"} {
		if got := detect(t, releases[name]).Rebuild(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestNamesOfAllPackages: no family lacks a package.
func TestNamesOfAllPackages(t *testing.T) {
	for _, f := range families {
		for p := PipeWire; p <= Headers; p++ {
			if f.packages[p] == "" {
				t.Errorf("%v has no package %d", f.ids, p)
			}
		}
	}
}

// detect returns the distribution of a root with that os-release.
func detect(t *testing.T, release string) Host {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{"/usr/lib/os-release": release, "/proc/sys/kernel/osrelease": "6.1.0-9\n"} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Detect(root)
}
