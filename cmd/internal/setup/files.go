package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/tbcam/tbcam/cmd/internal/cli"
)

// file is one that setup writes.
type file struct{ path, text string }

// moduleFile has the driver loaded at boot.
func (s *setup) moduleFile() file {
	return file{"/etc/modules-load.d/" + s.program + ".conf", moduleName + "\n"}
}

// deviceRule lets the user at the console and the group video open the devices, where no
// package does.
func (s *setup) deviceRule() file {
	return file{"/etc/udev/rules.d/70-" + s.program + ".rules",
		`SUBSYSTEM=="misc", KERNEL=="tbstream*", GROUP="video", MODE="0660", TAG+="uaccess"` + "\n"}
}

// installedRules are where packages and make install put that rule.
var installedRules = []string{"/usr/lib/udev/rules.d/70-tbcam.rules", "/usr/local/lib/udev/rules.d/70-tbcam.rules"}

func (s *setup) hasDeviceRule() bool {
	return slices.ContainsFunc(installedRules, func(path string) bool { return exists(filepath.Join(s.config.Root, path)) })
}

// ownerRule gives the devices to the user who ran sudo, who may not be at the console.
func (s *setup) ownerRule() file {
	f := file{path: "/etc/udev/rules.d/71-" + s.program + "-owner.rules"}
	if s.user != nil {
		f.text = `SUBSYSTEM=="misc", KERNEL=="tbstream*", OWNER="` + strconv.Itoa(int(s.user.uid)) + "\"\n"
	}
	return f
}

// plugFiles set the stream up whenever the cable is plugged in.
func (s *setup) plugFiles() ([]file, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	name := s.config.Selector.Name
	return []file{
		// A change means that the peer's properties changed, for instance its HopIDs.
		{"/etc/udev/rules.d/70-" + s.program + "-plug.rules", `ACTION=="add|change", SUBSYSTEM=="thunderbolt", ATTR{key}=="stream", ` +
			`TAG+="systemd", ENV{SYSTEMD_WANTS}+="` + s.program + `-setup@%k.service"` + "\n"},
		{"/etc/systemd/system/" + s.program + "-setup@.service", "[Unit]\nDescription=USB4STREAM " + name + " on %i\n\n" +
			"[Service]\nType=oneshot\nExecStart=" + quoteExec(self) + " setup --once --stream=" + name + "@%i\n"},
	}, nil
}

// makePermanent writes what makes the set-up come back.
func (s *setup) makePermanent(context.Context) error {
	files := []file{s.moduleFile()}
	if !s.hasDeviceRule() {
		files = append(files, s.deviceRule())
	}
	if s.user != nil {
		files = append(files, s.ownerRule())
	}
	if err := checkSelf(); err != nil {
		s.out.hint("run sudo make install, and then setup of the installed program",
			"the stream will not come back by itself: root would run this program at every plug, but %v", err)
	} else {
		plug, err := s.plugFiles()
		if err != nil {
			return err
		}
		files = append(files, plug...)
	}
	changed, err := s.writeFiles(files)
	if err == nil && changed {
		err = s.reloadManagers()
	}
	if err == nil && !changed {
		s.out.ok("the stream comes back at every plug and boot")
	}
	return err
}

// checkSelf refuses a program that others than root could replace.
func checkSelf() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return checkRootOnly(self)
}

// writeFiles writes those that are not as they should be.
func (s *setup) writeFiles(files []file) (changed bool, err error) {
	for _, f := range files {
		path := filepath.Join(s.config.Root, f.path)
		if now, err := os.ReadFile(path); err == nil && string(now) == f.text {
			continue
		}
		changed = true
		err := s.runStep("write "+path+":\n"+f.text, func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.text), 0o644))
		})
		if err != nil {
			return true, err
		}
	}
	return changed, nil
}

// removeFiles removes those that are there.
func (s *setup) removeFiles() error {
	plug, err := s.plugFiles()
	if err != nil {
		return err
	}
	found := false
	for _, f := range append(plug, s.moduleFile(), s.deviceRule(), s.ownerRule(), loopbackModule, loopbackOptions) {
		path := filepath.Join(s.config.Root, f.path)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || s.belongsToOther(f) {
			continue
		}
		found = true
		if err := s.runStep("rm "+path, func() error { return os.Remove(path) }); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	return s.reloadManagers()
}

// belongsToOther reports whether a file is none of this side's.
func (s *setup) belongsToOther(f file) bool {
	return !s.side.Cameras && (f == loopbackModule || f == loopbackOptions)
}

// reloadManagers makes udev and systemd read the files, where they run; tests' files are
// not theirs.
func (s *setup) reloadManagers() error {
	if s.config.Root != "" {
		return nil
	}
	var failed error
	if hasUdev() {
		failed = s.runCommand("udevadm", "control", "--reload")
	}
	if exists("/run/systemd/system") {
		failed = errors.Join(failed, s.runCommand("systemctl", "daemon-reload"))
	}
	return failed
}

// hasUdev reports whether udev runs.
func hasUdev() bool { return exists("/run/udev/control") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// removeAll undoes what setup does, also with a stream that is gone.
func (s *setup) removeAll(ctx context.Context) error {
	return errors.Join(s.removeService(ctx), s.config.Remove(), s.removeFiles(), cli.Mark(s.removeModule(), cli.ErrStream))
}
