package tbdev

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
)

const (
	optionModule  = "CONFIG_USB4=y\nCONFIG_USB4_STREAM=m\n"
	optionBuiltIn = "CONFIG_USB4_STREAM=y\n"
	optionOff     = "CONFIG_USB4=y\n# CONFIG_USB4_STREAM is not set\n"
	noOption      = "CONFIG_USB4_NET=m\n# CONFIG_USB4_STREAM_DEBUG is not set\n"
	modulesWith   = "kernel/drivers/thunderbolt/thunderbolt_stream.ko.xz: kernel/drivers/thunderbolt/thunderbolt.ko.xz\n"
	modulesNone   = "kernel/drivers/thunderbolt/thunderbolt.ko.xz:\n"
)

// reasons are those that explainMissing distinguishes.
var reasons = []error{ErrKernelTooOld, ErrOptionOff, ErrNotInstalled}

func TestExplainMissing(t *testing.T) {
	for name, c := range map[string]struct {
		kernel kernel
		reason error // nil if unknown
	}{
		"Debian 12":                  {kernel{"6.1.0-32-amd64", noOption, modulesNone}, ErrKernelTooOld},
		"the last without it":        {kernel{"7.1.9", "", modulesNone}, ErrKernelTooOld},
		"old, nothing else known":    {kernel{"6.18.3-arch1-1", "", ""}, ErrKernelTooOld},
		"backport, option off":       {kernel{"6.12.0-99.el10.x86_64", optionOff, modulesNone}, ErrOptionOff},
		"backport, not installed":    {kernel{"6.12.0-99.el10.x86_64", optionModule, modulesNone}, ErrNotInstalled},
		"backport, not loaded":       {kernel{"6.12.0-99.el10.x86_64", optionModule, modulesWith}, nil},
		"made for an old kernel":     {kernel{"6.18.3", noOption, "updates/dkms/thunderbolt_stream.ko:\n"}, nil},
		"new, option off":            {kernel{"7.2.13+deb14-amd64", optionOff, modulesNone}, ErrOptionOff},
		"new, without USB4":          {kernel{"7.3.0-rc1", noOption, modulesNone}, ErrOptionOff},
		"new, not installed":         {kernel{"7.10.1-1-generic", optionModule, modulesNone}, ErrNotInstalled},
		"new, modules were removed":  {kernel{"7.2.4-arch1-1", optionModule, ""}, ErrNotInstalled},
		"new, configuration unknown": {kernel{"7.2.0", "", modulesNone}, ErrNotInstalled},
		"new, not loaded":            {kernel{"7.2.0", optionModule, modulesWith}, nil},
		"new, built in":              {kernel{"7.2.0", optionBuiltIn, modulesNone}, nil},
		"new, nothing else known":    {kernel{"7.2.0", "", ""}, nil},
		"no version, no reason":      {kernel{"custom", "", ""}, nil},
		"nothing known":              {kernel{}, nil},
	} {
		err := c.kernel.explainMissing()
		if !errors.Is(err, ErrNoModule) {
			t.Errorf("%s: %v is no ErrNoModule", name, err)
		}
		for _, reason := range reasons {
			if errors.Is(err, reason) != (reason == c.reason) {
				t.Errorf("%s: %v; want %v", name, err, c.reason)
			}
		}
		if c.reason != nil && !strings.Contains(err.Error(), c.kernel.release) {
			t.Errorf("%s: %v does not name the kernel", name, err)
		}
	}
}

// TestMissingModule reads the three places of a configuration, and finds the reason
// in what a Finder and a Config return.
func TestMissingModule(t *testing.T) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write([]byte(optionOff)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"/boot/config-7.2.0":        optionOff,
		"/lib/modules/7.2.0/config": optionOff,
		"/proc/config.gz":           compressed.String(),
	} {
		h := &fakeHost{t: t, root: t.TempDir()}
		h.write("/proc/sys/kernel/osrelease", "7.2.0\n")
		h.write(path, text)
		finder := Finder{Root: h.root, Selector: Selector{Name: "tbcam"}}
		_, err := finder.Device()
		if !errors.Is(err, ErrOptionOff) || !errors.Is(err, ErrNotSetUp) {
			t.Errorf("%s: the device: %v", path, err)
		}
		if err := h.config(true).Setup(t.Context()); !errors.Is(err, ErrOptionOff) {
			t.Errorf("%s: the set-up: %v", path, err)
		}
		h.write("/lib/modules/7.2.0/modules.dep", modulesWith)
		if err := MissingModule(h.root); err != ErrNoModule {
			t.Errorf("%s, with the module: %v", path, err)
		}
	}
}

// TestDamagedConfig: what cannot be read is unknown, and no reason.
func TestDamagedConfig(t *testing.T) {
	h := &fakeHost{t: t, root: t.TempDir()}
	h.write("/proc/sys/kernel/osrelease", "7.2.0\n")
	h.write("/proc/config.gz", "no gzip")
	if err := MissingModule(h.root); err != ErrNoModule {
		t.Error(err)
	}
}
