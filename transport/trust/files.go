package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
)

// Errors of files; what is returned is a FileError that wraps them.
var (
	// ErrOwner is returned when a file or the directory belongs to another user.
	ErrOwner = errors.New("belongs to another user")
	// ErrMode is returned when other users may read a file, or write the directory.
	ErrMode = errors.New("other users may access it")
	// ErrDamaged is returned when a file does not have what it should have.
	ErrDamaged = errors.New("is damaged")
	// ErrNoDir is returned when the environment names no place for the files.
	ErrNoDir = errors.New("no XDG_STATE_HOME is set, and the user has no home")
)

// FileError is returned for a file of this package that cannot be used.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("open %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// maxFile bounds what is read of a file, in bytes.
const maxFile = 4 << 20

// DefaultDir returns where the files of this user are. systemd sets STATE_DIRECTORY
// for units with a StateDirectory, which only those of the system have; all else of
// one user, in a terminal or as a user unit, shares one place.
func DefaultDir() (string, error) {
	if first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(first) {
		return first, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tbcam"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil { // as in a unit of the system
		u, err := user.Current()
		if err != nil || !filepath.IsAbs(u.HomeDir) {
			return "", ErrNoDir
		}
		home = u.HomeDir
	}
	return filepath.Join(home, ".local", "state", "tbcam"), nil
}

// openDir makes the directory if it is missing, and refuses one that others may write.
func openDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return checkOwned(path, info, 0o022)
}

// checkOwned refuses what belongs to another user, or has a mode with a bit of refused.
func checkOwned(path string, info fs.FileInfo, refused fs.FileMode) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int(owner.Uid) != os.Geteuid():
		return &FileError{path, ErrOwner}
	case info.Mode().Perm()&refused != 0:
		return &FileError{path, ErrMode}
	}
	return nil
}

// readFile returns the content of a file that only this user may access.
func readFile(path string) ([]byte, error) {
	// Whether it is a regular file is checked on what was opened; until then neither a
	// FIFO nor a link may do harm.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &FileError{path, fmt.Errorf("%w: it is a symbolic link", ErrDamaged)}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkFile(path, f); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = &FileError{path, fmt.Errorf("%w: it is larger than %d bytes", ErrDamaged, maxFile)}
	}
	return data, err
}

// checkFile refuses an open file that is not a regular one of this user alone.
func checkFile(path string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &FileError{path, fmt.Errorf("%w: it is no regular file", ErrDamaged)}
	}
	return checkOwned(path, info, 0o077)
}

// replaceFile writes a file as a whole, or leaves what was there: also on a full
// disk, and when the host loses power. The caller holds the directory's lock.
func replaceFile(path string, data []byte) error {
	next := path + ".new"
	err := writeSynced(next, data)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
		return fmt.Errorf("save %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// writeSynced writes a new file, and waits until it is on the disk.
func writeSynced(path string, data []byte) error {
	// One that a loss of power left behind is in the way.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes a rename survive a loss of power.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockDir waits until no other process changes the files of a directory, and returns
// what ends that.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}
