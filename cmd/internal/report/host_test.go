package report

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// Names that must not be in a report.
const secret = "anna's laptop"

// files are those of a host with a cable to another one.
var files = map[string]string{
	"/proc/sys/kernel/osrelease":                                              "7.3.1-2-amd64\n",
	"/proc/sys/kernel/hostname":                                               secret,
	"/proc/version":                                                           "Linux version 7.3.1 (" + secret + "@build)",
	"/proc/cpuinfo":                                                           "processor\t: 0\nmodel name\t: AMD Ryzen 7 PRO 7840U\nserial\t: " + secret + "\n",
	"/etc/os-release":                                                         "NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux forky\"\n",
	"/etc/hostname":                                                           secret,
	"/sys/class/dmi/id/sys_vendor":                                            "LENOVO\n",
	"/sys/class/dmi/id/product_name":                                          "21F8CTO1WW\n",
	"/sys/class/dmi/id/product_serial":                                        secret,
	"/sys/class/dmi/id/product_uuid":                                          secret,
	"/sys/module/thunderbolt_stream/initstate":                                "live\n",
	"/sys/module/thunderbolt_stream/taint":                                    "OE\n",
	"/sys/module/thunderbolt_stream/srcversion":                               "1F2E3D4C5B6A79880716253\n",
	"/sys/devices/pci0000:00/0000:00:08.3/0000:c3:00.6/vendor":                "0x1022\n",
	"/sys/devices/pci0000:00/0000:00:08.3/0000:c3:00.6/device":                "0x1669\n",
	"/sys/devices/pci0000:00/0000:00:08.3/0000:c3:00.6/domain0/uevent":        "",
	"/sys/devices/pci0000:00/0000:00:08.3/0000:c3:00.6/domain0/0-0/unique_id": secret,
	"/sys/bus/thunderbolt/devices/0-0/generation":                             "4\n",
	"/sys/bus/thunderbolt/devices/0-0/nvm_version":                            "10.3\n",
	"/sys/bus/thunderbolt/devices/0-0/unique_id":                              secret,
	"/sys/bus/thunderbolt/devices/0-1/device_name":                            secret,
	"/sys/bus/thunderbolt/devices/0-1/unique_id":                              secret,
	"/sys/bus/thunderbolt/devices/0-1/rx_speed":                               "20.0 Gb/s\n",
	"/sys/bus/thunderbolt/devices/0-1/tx_speed":                               "20.0 Gb/s\n",
	"/sys/bus/thunderbolt/devices/0-1/rx_lanes":                               "2\n",
	"/sys/bus/thunderbolt/devices/0-1/tx_lanes":                               "2\n",
	"/sys/kernel/config/thunderbolt/stream/0-1.1/tbcam/index":                 "3\n",
	"/sys/kernel/config/thunderbolt/stream/0-1.1/tbcam/ring_size":             "64\n",
	"/sys/kernel/config/thunderbolt/stream/0-1.1/tbcam/throttling":            "8192\n",
	"/usr/share/misc/pci.ids": "# a comment\n1002  ATI\n\t1669  wrong one\n1022  Advanced Micro Devices, Inc. [AMD]\n\t1668  another\n" +
		"\t1669  Pink Sardine USB4/Thunderbolt NHI controller #2\n\t\t1022 1669  a subsystem\n8086  Intel\n",
}

// newHost returns a host whose root has the files, but for those named.
func newHost(t *testing.T, without ...string) Host {
	t.Helper()
	h := Host{Root: t.TempDir()}
	for path, text := range files {
		path = filepath.Join(h.Root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../../devices/pci0000:00/0000:00:08.3/0000:c3:00.6/domain0", filepath.Join(h.Root, "/sys/bus/thunderbolt/devices/domain0")); err != nil {
		t.Fatal(err)
	}
	for _, path := range without {
		if err := os.RemoveAll(filepath.Join(h.Root, path)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// printHost returns what a report has of the host.
func printHost(t *testing.T, h Host, device string) string {
	t.Helper()
	var b strings.Builder
	if err := Print(&b, "This computer", h.Describe(device)); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`\(\d+ threads\)`).ReplaceAllString(b.String(), "(N threads)")
}

func TestDescribe(t *testing.T) {
	want := `This computer
    computer      LENOVO 21F8CTO1WW
    processor     AMD Ryzen 7 PRO 7840U (N threads)
    system        Debian GNU/Linux forky
    kernel        7.3.1-2-amd64 ` + runtime.GOARCH + `
    driver        thunderbolt_stream, module built on this computer, version 1F2E3D4C5B6A79880716253
    controller    domain0: 1022:1669 Advanced Micro Devices, Inc. [AMD] Pink Sardine USB4/Thunderbolt NHI controller #2, generation 4, firmware 10.3
    cable         domain0: receives 2 x 20.0 Gb/s, sends 2 x 20.0 Gb/s; ring of 64 packets, throttling 8192 ns
`
	if got := printHost(t, newHost(t), "/dev/tbstream3"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is not there is left out, or called unknown.
func TestDescribeLess(t *testing.T) {
	for _, c := range []struct {
		without []string
		device  string
		want    string
	}{
		{nil, "", ""},
		{nil, "/dev/tbstream4", "cable         unknown: the device belongs to no stream"},
		{[]string{"/sys/bus/thunderbolt/devices/0-1"}, "/dev/tbstream3", "cable         domain0: receives ? x ?, sends ? x ?; ring of 64 packets"},
		{[]string{"/sys/module"}, "", "driver        thunderbolt_stream, in the kernel"},
		{[]string{"/sys/module", "/sys/kernel"}, "", "driver        none: the kernel module thunderbolt_stream is not loaded"},
		{[]string{"/sys/module/thunderbolt_stream/taint", "/sys/module/thunderbolt_stream/srcversion"}, "", "thunderbolt_stream, module\n"},
		{[]string{"/usr"}, "", "controller    domain0: 1022:1669, generation 4"},
		{[]string{"/proc", "/etc", "/sys"}, "/dev/tbstream3", "kernel        unknown"},
	} {
		got := printHost(t, newHost(t, c.without...), c.device)
		if !strings.Contains(got, c.want) {
			t.Errorf("without %q: %s\nwant %s", c.without, got, c.want)
		}
		if strings.Contains(got, secret) {
			t.Errorf("without %q: it names somebody: %s", c.without, got)
		}
	}
}
