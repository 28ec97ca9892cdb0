package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/tbcam/tbcam/cmd/internal/distro"
)

// The DKMS package that is made on the user's machine, of the distribution's own source.
const (
	dkmsName = "tbcam-thunderbolt-stream"
	dkmsConf = `# Made by setup --build-module from the distribution's package linux-source-%[1]s.
PACKAGE_NAME="` + dkmsName + `"
PACKAGE_VERSION="%[1]s"
BUILT_MODULE_NAME[0]="thunderbolt_stream"
DEST_MODULE_LOCATION[0]="/updates/dkms"
AUTOINSTALL="yes"
# The source is that of this series.
BUILD_EXCLUSIVE_KERNEL="^%[2]s\."
MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build modules"
CLEAN="true"
`
	kbuild = "obj-m := thunderbolt_stream.o\nthunderbolt_stream-y := stream.o\n"
)

var (
	errNoBuild = errors.New("--build-module builds for kernels of Debian and Ubuntu only")
	// errNoSource is returned where the distribution's source lacks the driver.
	errNoSource = errors.New("the source of this kernel has no drivers/thunderbolt/stream.c")
	series      = regexp.MustCompile(`^(\d+\.\d+)(\.\d+)?`)
)

// canBuild reports whether the driver can be built here.
func (s *setup) canBuild() bool {
	return distro.Detect(s.config.Root).HasSources() && series.MatchString(s.kernel())
}

// installModule builds the driver of the running kernel from the distribution's source,
// with DKMS, and loads it.
func (s *setup) installModule() error {
	if !s.canBuild() {
		return errNoBuild
	}
	kernel := s.kernel()
	version := series.FindStringSubmatch(kernel)[1]
	if err := s.fetchSource(version, kernel); err != nil {
		return err
	}
	if err := s.makePackage(version); err != nil {
		return err
	}
	for _, args := range [][]string{{"dkms", "install", "--force", "-m", dkmsName, "-v", version, "-k", kernel}, {"modprobe", moduleName}} {
		if err := s.runCommand(args[0], args[1:]...); err != nil {
			return fmt.Errorf("%w%s", err, s.secureBootHint())
		}
	}
	return nil
}

// fetchSource installs what building takes, unless that is there.
func (s *setup) fetchSource(version, kernel string) error {
	packages := []string{"linux-source-" + version, "linux-headers-" + kernel, "dkms"}
	if s.findSource(version) != "" && exists("/usr/sbin/dkms") && exists("/lib/modules/"+kernel+"/build") {
		return nil
	}
	return s.runCommand("apt-get", append([]string{"install", "--yes", "--no-install-recommends"}, packages...)...)
}

// findSource returns the archive of the kernel's source, "" if it is not installed. Debian
// has it in /usr/src, Ubuntu in a directory there.
func (s *setup) findSource(version string) string {
	for _, pattern := range []string{"linux-source-" + version + ".tar.*", "linux-source-" + version + "*/linux-source-*.tar.*"} {
		if found, _ := filepath.Glob(filepath.Join(s.config.Root, "/usr/src", pattern)); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

func (s *setup) packageDir(version string) string {
	return filepath.Join(s.config.Root, "/usr/src", dkmsName+"-"+version)
}

// makePackage writes the DKMS package: the driver's directory of the kernel, and what
// builds of it the one module that the kernel lacks.
func (s *setup) makePackage(version string) error {
	dir, archive := s.packageDir(version), s.findSource(version)
	if archive == "" && !s.dryRun {
		return fmt.Errorf("linux-source-%s: %w", version, errNoSource)
	}
	if err := s.runStep("mkdir -p "+dir, func() error { return os.MkdirAll(dir, 0o755) }); err != nil {
		return err
	}
	err := s.runCommand("tar", "-x", "-f", archive, "-C", dir, "--strip-components=3", "--wildcards", "*/drivers/thunderbolt/*.[ch]")
	if err == nil && !s.dryRun && !exists(filepath.Join(dir, "stream.c")) {
		err = errNoSource
	}
	if err != nil {
		return err
	}
	_, err = s.writeFiles([]file{
		{filepath.Join("/usr/src", dkmsName+"-"+version, "Kbuild"), kbuild},
		{filepath.Join("/usr/src", dkmsName+"-"+version, "dkms.conf"),
			fmt.Sprintf(dkmsConf, version, regexp.QuoteMeta(version))},
	})
	return err
}

// secureBootHint explains why a module that was built may not load.
func (s *setup) secureBootHint() string {
	if remedy := s.machine().KeyRemedy(); remedy != "" {
		return "; Secure Boot is on: run " + remedy
	}
	return ""
}

// removeModule removes what installModule has built.
func (s *setup) removeModule() error {
	dirs, _ := filepath.Glob(s.packageDir("*"))
	var failed error
	for _, dir := range dirs {
		version := filepath.Base(dir)[len(dkmsName)+1:]
		failed = errors.Join(failed, s.runCommand("dkms", "remove", "-m", dkmsName, "-v", version, "--all"),
			s.runStep("rm -r "+dir, func() error { return os.RemoveAll(dir) }))
	}
	return failed
}
