package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// badNames are errors of a name, or of what has it: the file system would not take
// it later either.
var badNames = []error{
	syscall.EINVAL, syscall.ENAMETOOLONG, syscall.EILSEQ, syscall.ELOOP, syscall.EISDIR, syscall.ENOTDIR, syscall.EOPNOTSUPP,
}

// lackedRights are errors that persist until a person acts: they refuse a recording
// that is to begin, while one that has begun waits for it.
var lackedRights = []error{syscall.EACCES, syscall.EPERM, syscall.EROFS}

func isAny(err error, of ...error) bool {
	return slices.ContainsFunc(of, func(e error) bool { return errors.Is(err, e) })
}

// CheckName reports what will keep a file of this name from being made, without
// leaving one: a character that its file system does not know, for instance.
// What may pass by itself, such as a full disk, is no error.
func CheckName(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		f.Close()
		return os.Remove(path)
	case isAny(err, badNames...), isAny(err, lackedRights...):
		return err
	}
	return nil // it exists, or waiting may help
}

// checkNames does that for each directory and the file that a path adds to the
// directory root, in which it tries all these names.
func checkNames(root, path string) error {
	rest, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(rest, "/") {
		if err := CheckName(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkExisting reports why a file that exists will not be overwritten.
func checkExisting(path string, info fs.FileInfo) error {
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%s: %w", path, ErrSymlink)
	case info.IsDir() && !strings.HasSuffix(path, "/"):
		return fmt.Errorf("%s: %w", path, ErrDirectory)
	case !info.Mode().IsRegular() && !info.IsDir():
		return fmt.Errorf("%s: %w", path, ErrNotFile)
	case info.IsDir():
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
