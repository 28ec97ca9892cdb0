package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/tbdev"
)

// Entry is a line of the report.
type Entry struct{ Name, Text string }

// Host is a computer, as its /proc and /sys below Root show it; "" but in tests.
type Host struct{ Root string }

// Describe returns what of the host matters for its cables, and nothing that names it, its
// user or a peer. Device is what the stream uses, "" for a socket.
func (h Host) Describe(device string) []Entry {
	entries := []Entry{
		{"computer", cmp.Or(strings.TrimSpace(h.readText("/sys/class/dmi/id/sys_vendor")+" "+h.readText("/sys/class/dmi/id/product_name")), "unknown")},
		{"processor", fmt.Sprintf("%s (%d threads)", cmp.Or(h.readProcessor(), runtime.GOARCH), runtime.NumCPU())},
		{"system", cmp.Or(h.readSystem(), "unknown")},
		{"kernel", cmp.Or(h.readText("/proc/sys/kernel/osrelease"), "unknown") + " " + runtime.GOARCH},
		{"driver", h.describeDriver()},
	}
	for _, c := range h.listControllers() {
		entries = append(entries, Entry{"controller", c})
	}
	if device == "" {
		return entries
	}
	return append(entries, Entry{"cable", h.describeCable(device)})
}

// maxFile bounds what is read of a file; that of the names of PCI devices has 1.5 MB.
const maxFile = 8 << 20

// openFile opens a file below the root for reading, as far as maxFile.
func (h Host) openFile(path string) (io.Reader, io.Closer, error) {
	f, err := os.Open(filepath.Join(h.Root, path))
	if err != nil {
		return nil, nil, err
	}
	return io.LimitReader(f, maxFile), f, nil
}

// readText returns the text of a file, "" where it cannot be read.
func (h Host) readText(path string) string {
	r, c, err := h.openFile(path)
	if err != nil {
		return ""
	}
	defer c.Close()
	text, _ := io.ReadAll(r)
	return capture.Printable(strings.TrimSpace(string(text)))
}

// findLine returns what follows a prefix in the first line of a file that has it.
func (h Host) findLine(path, prefix string) string {
	r, c, err := h.openFile(path)
	if err != nil {
		return ""
	}
	defer c.Close()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), prefix); found {
			return capture.Printable(strings.Trim(value, " \t:\""))
		}
	}
	return ""
}

func (h Host) readProcessor() string { return h.findLine("/proc/cpuinfo", "model name") }

// readSystem returns the distribution (os-release(5)).
func (h Host) readSystem() string {
	return cmp.Or(h.findLine("/etc/os-release", "PRETTY_NAME="), h.findLine("/usr/lib/os-release", "PRETTY_NAME="))
}

const driverDir = "/sys/module/thunderbolt_stream"

// describeDriver returns which driver of USB4STREAM runs.
func (h Host) describeDriver() string {
	if _, err := os.Stat(filepath.Join(h.Root, driverDir)); err != nil {
		if _, err := os.Stat(filepath.Join(h.Root, tbdev.Streams)); err == nil {
			return "thunderbolt_stream, in the kernel"
		}
		return "none: " + tbdev.MissingModule(h.Root).Error()
	}
	kind := "in the kernel"
	if state := h.readText(driverDir + "/initstate"); state != "" {
		kind = "module"
	}
	if strings.Contains(h.readText(driverDir+"/taint"), "O") {
		kind += " built on this computer"
	}
	if version := cmp.Or(h.readText(driverDir+"/version"), h.readText(driverDir+"/srcversion")); version != "" {
		kind += ", version " + version
	}
	return "thunderbolt_stream, " + kind
}

// listControllers returns the Thunderbolt and USB4 controllers.
func (h Host) listControllers() (all []string) {
	domains, _ := filepath.Glob(filepath.Join(h.Root, "/sys/bus/thunderbolt/devices/domain*")) // the pattern is well-formed
	for _, domain := range domains {
		name := filepath.Base(domain)
		text := name
		if dir, err := filepath.EvalSymlinks(domain); err == nil {
			text += ": " + h.describePCI(strings.TrimPrefix(filepath.Dir(dir), h.Root))
		}
		router := "/sys/bus/thunderbolt/devices/" + strings.TrimPrefix(name, "domain") + "-0"
		if generation := h.readText(router + "/generation"); generation != "" {
			text += ", generation " + generation
		}
		if firmware := h.readText(router + "/nvm_version"); firmware != "" {
			text += ", firmware " + firmware
		}
		all = append(all, text)
	}
	return all
}

// pciNames are where distributions keep the names of PCI devices.
var pciNames = []string{"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"}

// describePCI returns the identifiers and, where the host has them, names of a PCI device.
func (h Host) describePCI(dir string) string {
	vendor, device := strings.TrimPrefix(h.readText(dir+"/vendor"), "0x"), strings.TrimPrefix(h.readText(dir+"/device"), "0x")
	if vendor == "" || device == "" {
		return "no PCI device"
	}
	text := vendor + ":" + device
	for _, path := range pciNames {
		if name := h.lookUpPCI(path, vendor, device); name != "" {
			return text + " " + name
		}
	}
	return text
}

// lookUpPCI looks up a device in the list of pci.ids: lines of vendors, each before those of
// its devices, which a tab begins.
func (h Host) lookUpPCI(path, vendor, device string) string {
	r, c, err := h.openFile(path)
	if err != nil {
		return ""
	}
	defer c.Close()
	maker := ""
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		switch name, found := strings.CutPrefix(line, vendor+"  "); {
		case found:
			maker = name
		case maker == "":
		case strings.HasPrefix(line, "\t"+device+"  "):
			return capture.Printable(maker + " " + line[len(device)+3:])
		case line != "" && line[0] != '\t' && line[0] != '#':
			return capture.Printable(maker)
		}
	}
	return capture.Printable(maker)
}

// describeCable returns the lanes and speeds of a stream's cable.
func (h Host) describeCable(device string) string {
	c, found := tbdev.DescribeCable(h.Root, device)
	if !found {
		return "unknown: the device belongs to no stream of USB4STREAM"
	}
	unknown := func(s string) string { return cmp.Or(s, "?") }
	return fmt.Sprintf("%s: receives %s x %s, sends %s x %s; ring of %s packets, throttling %s ns", c.Domain,
		unknown(c.RxLanes), unknown(c.RxSpeed), unknown(c.TxLanes), unknown(c.TxSpeed), unknown(c.RingSize), unknown(c.Throttling))
}
