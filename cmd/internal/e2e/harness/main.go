package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// Bin is the directory of the programs: TBCAM_BIN, or one that Main builds them into.
var Bin string

// Main runs the tests of a rung; TestMain exits with its result. In a process that
// has FilmVariable in its environment it sends films instead.
func Main(m *testing.M) int {
	if films := os.Getenv(FilmVariable); films != "" {
		return sendFilms(films)
	}
	// What is caught here has its default in the programs, also under nohup.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	Bin = os.Getenv("TBCAM_BIN")
	if Bin == "" {
		dir, err := buildPrograms()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		Bin = dir
	}
	state, err := isolateState()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(state)
	return m.Run()
}

// isolateState keeps the keys, peers and configuration of this user out of tests: what they
// pair is in a temporary directory. A guest has a home of its own, which all its tests share.
func isolateState() (dir string, err error) {
	if os.Getenv("TBCAM_VM") != "" {
		return "", nil
	}
	if dir, err = os.MkdirTemp("", "tbcam-state-"); err == nil {
		err = errors.Join(os.Setenv("XDG_STATE_HOME", dir), os.Setenv("XDG_CONFIG_HOME", dir), os.Unsetenv("TBCAM_STREAM"))
	}
	return dir, err
}

// buildPrograms builds the programs into a temporary directory.
func buildPrograms() (string, error) {
	dir, err := os.MkdirTemp("", "tbcam-bin-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "github.com/tbcam/tbcam/cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return dir, nil
}
