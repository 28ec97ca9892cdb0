package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is checked are the program and each directory above it, so that a directory of
// root's in one that others may write is refused, too. A temporary directory is one.
func TestCheckRootOnly(t *testing.T) {
	own := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(own, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkRootOnly(own); err == nil {
		t.Errorf("%s is accepted, in a directory that all may write", own)
	}
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkRootOnly(shell); err != nil {
		t.Error(err)
	}
	if err := checkRootOnly("/proc/self/exe"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a symbolic link: %v", err)
	}
	for mode, ok := range map[os.FileMode]bool{0o755: true, 0o700: true, 0o775: false, 0o757: false, 0o1777: false} {
		if err := os.Chmod(own, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(own)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkOwner(own, info); (err == nil) != (ok && os.Getuid() == 0) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

// systemd reads the path back as it is.
func TestQuoteExec(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a b%i$HOME`)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "tbcam-test.service")
	for path, ok := range map[string]bool{quoteExec(program): true, program: false} {
		if err := os.WriteFile(unit, []byte("[Service]\nType=oneshot\nExecStart="+path+" setup\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit).CombinedOutput()
		if (err == nil) != ok {
			t.Errorf("ExecStart=%s: %v: %s", path, err, out)
		}
	}
}
