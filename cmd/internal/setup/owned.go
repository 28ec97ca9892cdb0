package setup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// checkRootOnly returns an error unless the file and all directories above it belong
// to root and only root can write them: what a service runs as root, no other user may
// replace.
func checkRootOnly(path string) error {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if err := checkOwner(path, info); err != nil || path == filepath.Dir(path) {
			return err
		}
	}
}

func checkOwner(path string, info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || owner.Uid != 0:
		return fmt.Errorf("%s does not belong to root", path)
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link", path)
	case info.Mode().Perm()&0o022 != 0: // so it is with an ACL that lets others write
		return fmt.Errorf("%s is writable by users other than root", path)
	}
	return nil
}

// quoteExec writes the path of a program for ExecStart (systemd.service(5), "Command
// lines"): quoted, and % doubled, which begins a specifier.
func quoteExec(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`, "\t", `\t`).Replace(path) + `"`
}
