package container

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is what the bytes of a recording go to.
type disk interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error // as fdatasync(2) does
	Close() error
}

// file is a recording in one file. Up to size it is whole at any time.
type file struct {
	disk
	path     string
	seekable bool
	size     int64
	named    bool // its name is on the disk
}

// createFile makes a file that only its owner reads, and locks it. One that exists
// keeps its content until the lock is held, and its mode; a link is not followed.
func createFile(path string, force bool) (*file, error) {
	existing := os.O_EXCL
	if force {
		existing = 0
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|existing, 0o600)
	if err != nil {
		return nil, err
	}
	if err = lockFile(f); err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{disk: osFile{f}, path: path, seekable: true}, nil
}

// lockFile takes the lock that every writer of a recording holds until it closes f.
// Where a file system has no locks it goes without.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("%s: %w", f.Name(), ErrBusy)
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOLCK):
		return nil
	case err != nil:
		return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

// appendParts adds parts to the whole. After an error the file is as before.
func (f *file) appendParts(parts ...[]byte) error {
	at := f.size
	for _, p := range parts {
		if _, err := f.WriteAt(p, at); err != nil {
			f.cutFailedWrite()
			return err
		}
		at += int64(len(p))
	}
	f.size = at
	return nil
}

// cutFailedWrite takes away what a failed write has left behind the whole part. Where
// that fails as well, players skip it as they do after a crash.
func (f *file) cutFailedWrite() { _ = f.Truncate(f.size) }

// syncWithName has the file and its name on the disk.
func (f *file) syncWithName() error {
	if err := f.Sync(); err != nil || f.named || !f.seekable {
		return err
	}
	err := syncDir(filepath.Dir(f.path))
	f.named = err == nil
	return err
}

// syncDir has the names in a directory on the disk, as far as that can be done:
// not every directory that can be written to can be read.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	} else if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return cmp.Or(err, d.Close())
}

// discardFile closes a file that has nothing in it, and removes it.
func (f *file) discardFile() error {
	if !f.seekable {
		return f.Close()
	}
	return cmp.Or(f.Close(), os.Remove(f.path))
}

// osFile is a disk that is one.
type osFile struct{ *os.File }

// Sync fails for a file that was removed: what is written to it is lost.
func (f osFile) Sync() error {
	var stat syscall.Stat_t
	err := syscall.Fstat(int(f.Fd()), &stat)
	if err == nil && stat.Nlink == 0 {
		err = syscall.ENOENT
	}
	if err == nil {
		err = syscall.Fdatasync(int(f.Fd()))
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return nil
}

// pipe is a disk that only goes on from where it is. Its first error is final.
type pipe struct {
	w   io.Writer
	err error
}

// WriteAt is called for one byte after the other: what goes back needs seekable.
func (p *pipe) WriteAt(b []byte, _ int64) (n int, err error) {
	if p.err == nil {
		n, p.err = p.w.Write(b)
	}
	return n, p.err
}

func (p *pipe) Truncate(int64) error { return nil }
func (p *pipe) Sync() error          { return nil }
func (p *pipe) Close() error         { return nil }
