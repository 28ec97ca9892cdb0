package tbdev

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Errors of a missing driver; what wraps one of them wraps ErrNoModule, too.
var (
	// ErrKernelTooOld is returned when the running kernel is older than the driver.
	ErrKernelTooOld = errors.New("USB4STREAM came with 7.2 or a backport")
	// ErrOptionOff is returned when the kernel was built without the driver.
	ErrOptionOff = errors.New("was built without CONFIG_USB4_STREAM")
	// ErrNotInstalled is returned when the kernel has the driver as a module whose file is
	// not on this host.
	ErrNotInstalled = errors.New("its module thunderbolt_stream is not installed")
)

const (
	// The driver came with Linux 7.2.
	firstMajor, firstMinor = 7, 2
	// maxConfig bounds what is read of a kernel's configuration; 300 KiB are usual.
	maxConfig = 4 << 20
	option    = "CONFIG_USB4_STREAM"
)

// kernel is what a host shows of its running kernel.
type kernel struct {
	release string // "" if unknown
	config  string // text of its .config; "" if unknown
	modules string // text of its modules.dep; "" if unknown
}

// MissingModule returns why the driver is missing below root, which is "" but in tests:
// an error that wraps ErrNoModule, and one of the errors above where the reason is known.
func MissingModule(root string) error {
	return readKernel(root).explainMissing()
}

// explainMissing returns why the driver is not loaded in a kernel.
func (k kernel) explainMissing() error {
	if k.release == "" || strings.Contains(k.modules, "/thunderbolt_stream.ko") {
		return ErrNoModule
	}
	value := k.readOption()
	switch {
	case value == "y": // nothing is to be loaded, and something else is missing
		return ErrNoModule
	case value == "" && k.isOld():
		return fmt.Errorf("%w: this kernel is %s; %w", ErrNoModule, k.release, ErrKernelTooOld)
	case value == "n", value == "" && k.config != "": // without what it depends on, it is not named
		return fmt.Errorf("%w: this kernel (%s) %w", ErrNoModule, k.release, ErrOptionOff)
	case value == "m", k.modules != "":
		return fmt.Errorf("%w: this kernel is %s; %w", ErrNoModule, k.release, ErrNotInstalled)
	}
	return ErrNoModule
}

// readOption returns the driver's value in the configuration: y, m, n, or "" where it is
// not named.
func (k kernel) readOption() string {
	for line := range strings.Lines(k.config) {
		line = strings.TrimSpace(line)
		if line == "# "+option+" is not set" {
			return "n"
		}
		if value, found := strings.CutPrefix(line, option+"="); found {
			return value
		}
	}
	return ""
}

// isOld reports whether the kernel's version is older than the driver.
func (k kernel) isOld() bool {
	var version [2]int
	if n, _ := fmt.Sscanf(k.release, "%d.%d", &version[0], &version[1]); n != 2 {
		return false
	}
	return slices.Compare(version[:], []int{firstMajor, firstMinor}) < 0
}

// readKernel reads what the host below root shows of its kernel.
func readKernel(root string) kernel {
	release := readText(filepath.Join(root, "/proc/sys/kernel/osrelease"))
	k := kernel{release: strings.TrimSpace(release)}
	if k.release == "" {
		return k
	}
	modules := filepath.Join(root, "/lib/modules", k.release)
	k.modules = readText(filepath.Join(modules, "modules.dep"))
	for _, path := range []string{
		filepath.Join(root, "/boot/config-"+k.release), // Debian, Ubuntu, Fedora
		filepath.Join(modules, "config"),               // Fedora, where /boot is not mounted
		filepath.Join(root, "/proc/config.gz"),         // Arch; with CONFIG_IKCONFIG_PROC
	} {
		if k.config = readText(path); k.config != "" {
			break
		}
	}
	return k
}

// readText returns the text of a file, also of one that gzip compressed; "" if it
// cannot be read, since what is unknown is left out.
func readText(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(path) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(io.LimitReader(r, maxConfig))
	if err != nil {
		return ""
	}
	return string(text)
}
