package setup

import (
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/doctor"
)

// lines writes what setup found and does, as the doctor command does.
type lines struct{ io.Writer }

// ok reports what is as it should be.
func (l lines) ok(format string, args ...any) {
	l.print(doctor.Finding{Grade: doctor.Good, What: fmt.Sprintf(format, args...)})
}

// hint reports what the user may do.
func (l lines) hint(remedy, format string, args ...any) {
	l.print(doctor.Finding{Grade: doctor.Hint, What: fmt.Sprintf(format, args...), Remedy: remedy})
}

// wrong reports what keeps the host from being ready.
func (l lines) wrong(err error) {
	l.print(doctor.Finding{Grade: doctor.Bad, What: err.Error(), Remedy: cli.Remedy(err)})
}

func (l lines) print(f doctor.Finding) {
	// What cannot be written, nobody reads; the steps are done all the same.
	_ = doctor.Print(l, []doctor.Finding{f})
}

// runStep prints a step as a shell command, and performs it.
func (s *setup) runStep(command string, step func() error) error {
	fmt.Fprintf(s.out, "run   %s\n", strings.ReplaceAll(strings.TrimSpace(command), "\n", "\n      "))
	if s.dryRun {
		return nil
	}
	return step()
}

// runCommand is a step that is a program.
func (s *setup) runCommand(name string, args ...string) error {
	return s.runStep(name+" "+strings.Join(args, " "), func() error { return runProgram(exec.Command(name, args...)) })
}

// runProgram runs a program; its output is part of the error.
func runProgram(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", c.Args[0], err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}
