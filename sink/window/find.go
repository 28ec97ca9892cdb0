package window

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const program = "tbcam-window"

// findProgram returns the path of the window's program.
func findProgram(override string) (string, error) {
	if override != "" {
		return override, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", program, err)
	}
	return findFrom(filepath.Dir(self))
}

// findFrom looks beside the directory of the own program, in libexec, and in PATH.
func findFrom(dir string) (string, error) {
	places := []string{dir, filepath.Join(dir, "../libexec/tbcam"), filepath.Join(dir, "../libexec")}
	for _, place := range places {
		if path, err := exec.LookPath(filepath.Join(place, program)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("find %s in %s and PATH: %w", program, strings.Join(places, ", "), exec.ErrNotFound)
	}
	return path, nil
}

// CheckDisplay reports why no window can be opened in this environment, if that is
// known without trying: the error then wraps ErrNoDisplay.
func CheckDisplay() error {
	switch {
	case os.Getenv("DISPLAY") != "":
		return nil
	case os.Getenv("WAYLAND_DISPLAY") != "":
		return fmt.Errorf("%w: DISPLAY is not set; under Wayland the window needs Xwayland; install it and log in again", ErrNoDisplay)
	}
	return fmt.Errorf("%w: DISPLAY is not set; run this in the desktop's session", ErrNoDisplay)
}
