package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/tbcam/tbcam/cmd/internal/doctor"
	"github.com/tbcam/tbcam/sink/virtualcam/v4l2node"
)

// loopbackModule and loopbackOptions have v4l2loopback loaded at boot, as applications
// need it.
var (
	loopbackModule  = file{"/etc/modules-load.d/tbcam-v4l2loopback.conf", "v4l2loopback\n"}
	loopbackOptions = file{"/etc/modprobe.d/tbcam-v4l2loopback.conf", "options v4l2loopback exclusive_caps=1 card_label=" + v4l2node.Label + "\n"}
)

// prepareLoopback loads v4l2loopback, where it is installed, now and at boot.
func (s *setup) prepareLoopback(context.Context) error {
	machine := s.machine()
	if !machine.HasLoopback() {
		return nil // checkCameras reports what that means
	}
	if !machine.BootsLoopback() {
		if _, err := s.writeFiles([]file{loopbackModule, loopbackOptions}); err != nil {
			return err
		}
	}
	if machine.LoadedLoopback() || machine.BlacklistsLoopback() {
		return nil
	}
	return s.runCommand("modprobe", "v4l2loopback", "exclusive_caps=1", "card_label="+v4l2node.Label)
}

// checkCameras reports whether applications of the user will see a virtual camera.
func (s *setup) checkCameras(ctx context.Context) error {
	if s.user == nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := s.user.command(ctx, self, "doctor").Output()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		s.out.ok("applications will see the virtual camera (%s doctor)", s.program)
	case errors.As(err, &exit) && len(out) > 0:
		s.printProblems(string(out))
	default:
		s.out.hint(s.program+" doctor", "it is not known whether applications will see the virtual camera: %v", err)
	}
	return nil
}

// printProblems prints what the doctor found wrong. A host may be one without calls, so
// these are hints here.
func (s *setup) printProblems(found string) {
	wrong := false
	for line := range strings.Lines(found) {
		if !strings.HasPrefix(line, " ") {
			text, bad := strings.CutPrefix(line, doctor.Bad.String())
			if wrong = bad; wrong {
				line = fmt.Sprintf("%-6s%s", doctor.Hint, strings.TrimLeft(text, " "))
			}
		}
		if wrong {
			fmt.Fprint(s.out, line)
		}
	}
}

// machine is this host, as the doctor looks at it.
func (s *setup) machine() doctor.Machine { return doctor.Machine{Root: s.config.Root} }
