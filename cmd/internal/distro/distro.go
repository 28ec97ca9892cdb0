// Package distro knows what packages are called in the distributions of Linux, for
// remedies.
package distro

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Package is something to install.
type Package int

// What remedies install. Backend is the portal's backend that asks for permission, where the
// desktop brings none of its own.
const (
	PipeWire Package = iota
	WirePlumber
	Portal
	Backend
	V4L2Loopback
	Headers // of the running kernel
)

// family is a group of distributions with the same packages.
type family struct {
	ids      []string // of os-release, those of derived ones in their ID_LIKE
	install  string
	packages map[Package]string
}

// families is the only table of packages. KERNEL stands for the running kernel's release.
var families = []family{
	{[]string{"debian", "ubuntu"}, "sudo apt install ", map[Package]string{
		PipeWire: "pipewire", WirePlumber: "wireplumber",
		Portal: "xdg-desktop-portal", Backend: "xdg-desktop-portal-gtk",
		V4L2Loopback: "v4l2loopback-dkms", Headers: "linux-headers-KERNEL",
	}},
	// v4l2loopback is in RPM Fusion.
	{[]string{"fedora", "rhel"}, "sudo dnf install ", map[Package]string{
		PipeWire: "pipewire", WirePlumber: "wireplumber",
		Portal: "xdg-desktop-portal", Backend: "xdg-desktop-portal-gtk",
		V4L2Loopback: "akmod-v4l2loopback", Headers: "kernel-devel-KERNEL",
	}},
	{[]string{"arch"}, "sudo pacman -S ", map[Package]string{
		PipeWire: "pipewire", WirePlumber: "wireplumber",
		Portal: "xdg-desktop-portal", Backend: "xdg-desktop-portal-gtk",
		V4L2Loopback: "v4l2loopback-dkms", Headers: "linux-headers",
	}},
}

// Host is the distribution of a host.
type Host struct {
	family family
	kernel string // release
}

// Detect reads which distribution is below a root, "" but in tests. One that is not in
// the table, nor derived from one that is, has the names of Debian.
func Detect(root string) Host {
	h := Host{family: family{install: "install ", packages: families[0].packages}}
	kernel, _ := os.ReadFile(filepath.Join(root, "/proc/sys/kernel/osrelease"))
	h.kernel = strings.TrimSpace(string(kernel))
	release, err := os.ReadFile(filepath.Join(root, "/etc/os-release"))
	if err != nil { // os-release(5)
		release, _ = os.ReadFile(filepath.Join(root, "/usr/lib/os-release"))
	}
	ids := strings.Fields(field(string(release), "ID") + " " + field(string(release), "ID_LIKE"))
	for _, id := range ids { // its own first, then the nearest
		if i := slices.IndexFunc(families, func(f family) bool { return slices.Contains(f.ids, id) }); i >= 0 {
			h.family = families[i]
			break
		}
	}
	return h
}

// field returns a value of os-release, without quotes.
func field(release, name string) string {
	for line := range strings.Lines(release) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+"="); found {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// Install returns the command that installs packages.
func (h Host) Install(packages ...Package) string {
	names := make([]string, len(packages))
	for i, p := range packages {
		names[i] = strings.ReplaceAll(h.family.packages[p], "KERNEL", h.kernel)
	}
	return h.family.install + strings.Join(names, " ")
}

// HasSources reports whether the distribution packages the sources of its kernels as
// Debian does.
func (h Host) HasSources() bool { return slices.Contains(h.family.ids, "debian") }

// Rebuild returns the command that builds modules for the running kernel, once its
// headers are there.
func (h Host) Rebuild() string {
	if strings.Contains(h.family.packages[V4L2Loopback], "akmod") {
		return "sudo akmods --force"
	}
	return "sudo dkms autoinstall"
}
