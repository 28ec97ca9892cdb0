package v4l2

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// heldBy names the programs that have the node open, as an addition to an error.
// Those of other users show up for root only.
func heldBy(path string) string {
	names := findHolders("/proc", path)
	if len(names) == 0 {
		return ""
	}
	return ", held by " + strings.Join(names, ", ")
}

// findHolders returns the other processes with a descriptor on path, for instance
// "firefox (pid 1234)".
func findHolders(proc, path string) []string {
	var names []string
	dirs, _ := filepath.Glob(proc + "/[0-9]*/fd")
	for _, dir := range dirs {
		process := filepath.Dir(dir)
		pid := filepath.Base(process)
		if pid == fmt.Sprint(os.Getpid()) || !holdsPath(dir, path) {
			continue
		}
		comm, _ := os.ReadFile(process + "/comm")
		names = append(names, fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(comm)), pid))
	}
	return names
}

func holdsPath(fdDir, path string) bool {
	fds, _ := os.ReadDir(fdDir)
	for _, fd := range fds {
		if target, _ := os.Readlink(filepath.Join(fdDir, fd.Name())); target == path {
			return true
		}
	}
	return false
}
