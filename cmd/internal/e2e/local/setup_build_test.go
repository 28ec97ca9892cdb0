package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Fakes of what building a module takes. apt-get brings a kernel's source, and dkms what
// modprobe then loads.
const (
	fakeApt = `#!/bin/sh
echo "apt-get $*" >>%[1]s/ran
mkdir -p %[1]s/tmp/linux-source-7.2/drivers/thunderbolt %[2]s/usr/src
for f in %[3]s tb.h Makefile; do echo "// $f" >%[1]s/tmp/linux-source-7.2/drivers/thunderbolt/$f; done
tar -c -J -f %[2]s/usr/src/linux-source-7.2.tar.xz -C %[1]s/tmp linux-source-7.2
`
	fakeDKMS = `#!/bin/sh
echo "dkms $*" >>%[1]s/ran
[ "$1" = remove ] || test -s %[2]s/usr/src/tbcam-thunderbolt-stream-7.2/stream.c && mkdir -p %[2]s/sys/kernel/config/thunderbolt/stream
`
	fakeModprobe = `#!/bin/sh
test -d %[2]s/sys/kernel/config/thunderbolt/stream || { echo "FATAL: Module not found" >&2; exit 1; }
`
)

// newBuildHost returns a host of a distribution whose kernel has the driver's option off,
// and whose source has a file.
func newBuildHost(t *testing.T, distribution, source string) *setupHost {
	h := newSetupHost(t)
	for _, path := range []string{"/sys/kernel", "/sys/bus"} { // without a cable
		if err := os.RemoveAll(h.root + path); err != nil {
			t.Fatal(err)
		}
	}
	writeTree(t, h.root, "/boot/config-7.2.0", "# CONFIG_USB4_STREAM is not set\n")
	writeTree(t, h.root, "/etc/os-release", distribution)
	for name, text := range map[string]string{"apt-get": fakeApt, "dkms": fakeDKMS, "modprobe": fakeModprobe} {
		if strings.Contains(text, "%[3]s") {
			text = fmt.Sprintf(text, h.dir, h.root, source)
		} else {
			text = fmt.Sprintf(text, h.dir, h.root)
		}
		writeTree(t, h.dir, "/path/"+name, text)
		if err := os.Chmod(h.dir+"/path/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// TestSetupBuildsModule: the driver of the running kernel is built from the distribution's
// source as a DKMS package, which --remove removes; where that cannot be, the error is the reason.
// What DKMS itself and a kernel made of it, docs/testing.md has ("Tried once, by hand").
func TestSetupBuildsModule(t *testing.T) {
	h := newBuildHost(t, "ID=debian\n", "stream.c")
	h.wantText(h.run(6), "this kernel (7.2.0) was built without CONFIG_USB4_STREAM", "sudo tbcam-view setup --build-module")
	const dir = "/usr/src/tbcam-thunderbolt-stream-7.2/"
	h.wantText(h.run(0, "--build-module"), "run   apt-get install --yes --no-install-recommends linux-source-7.2 linux-headers-7.2.0 dkms",
		"run   dkms install --force -m tbcam-thunderbolt-stream -v 7.2 -k 7.2.0", "run   modprobe thunderbolt_stream")
	h.want(map[string]string{
		dir + "stream.c": "stream.c", dir + "tb.h": "tb.h", dir + "Kbuild": "thunderbolt_stream-y := stream.o",
		dir + "dkms.conf": `BUILD_EXCLUSIVE_KERNEL="^7\.2\."`,
	})
	if _, err := os.Stat(h.root + dir + "Makefile"); err == nil {
		t.Error("the kernel's own Makefile came along: it builds more than the driver")
	}
	h.wantText(h.run(0), "ok    thunderbolt_stream is loaded (Linux 7.2.0)")
	h.wantText(h.run(0, "--remove"), "run   dkms remove -m tbcam-thunderbolt-stream -v 7.2 --all")
	if left, _ := filepath.Glob(h.root + "/usr/src/tbcam*"); len(left) > 0 {
		t.Errorf("--remove left %v", left)
	}

	h = newBuildHost(t, "ID=debian\n", "other.c")
	h.wantText(h.run(6, "--build-module"), "the source of this kernel has no drivers/thunderbolt/stream.c")
	h = newBuildHost(t, "ID=debian\n", "stream.c")
	writeTree(t, h.root, "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\x06\x00\x00\x00\x01")
	writeTree(t, h.dir, "/path/dkms", "#!/bin/sh\nexit 0\n")
	h.wantText(h.run(6, "--build-module"), "Module not found", "Secure Boot is on: run sudo mokutil --import /var/lib/dkms/mok.pub")
	h = newBuildHost(t, "ID=fedora\n", "stream.c")
	h.wantText(h.run(6, "--build-module"), "--build-module builds for kernels of Debian and Ubuntu only")
}
