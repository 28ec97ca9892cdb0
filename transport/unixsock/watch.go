package unixsock

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// errUnwatched is returned when a directory is watched no more: it was removed, or
// too much has happened in it.
var errUnwatched = errors.New("directory is no longer watched")

// watch reports when a name appears in a directory (inotify(7)): so nobody has to look
// for it many times a second.
type watch struct {
	file *os.File
	name string
}

// newWatch watches for a path, whose directory has to exist.
func newWatch(path string) (*watch, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	// No more than these: in a directory such as /tmp, files are written all the time.
	const mask = syscall.IN_CREATE | syscall.IN_MOVED_TO | syscall.IN_ONLYDIR
	if _, err := syscall.InotifyAddWatch(fd, filepath.Dir(path), mask); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	return &watch{os.NewFile(uintptr(fd), "inotify"), filepath.Base(path)}, nil
}

// closeWatch ends the watch. A nil one has none.
func (w *watch) closeWatch() {
	if w != nil {
		w.file.Close()
	}
}

// waitChange waits until the name appears. The error wraps os.ErrDeadlineExceeded after a
// duration, or is errUnwatched or that of the context.
func (w *watch) waitChange(ctx context.Context, d time.Duration) error {
	if err := w.file.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var events [4096]byte
	for {
		n, err := w.file.Read(events[:])
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
		if found, err := w.findName(events[:n]); found || err != nil {
			return err
		}
	}
}

// findName looks for the name in events, each of which is four words, of which the second
// is what has happened and the last the length of the name that follows.
func (w *watch) findName(events []byte) (found bool, err error) {
	for len(events) >= syscall.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:]))
		name, _, _ := bytes.Cut(events[syscall.SizeofInotifyEvent:][:length], []byte{0})
		if mask&(syscall.IN_IGNORED|syscall.IN_Q_OVERFLOW) != 0 {
			return false, errUnwatched
		}
		found = found || string(name) == w.name
		events = events[syscall.SizeofInotifyEvent+length:]
	}
	return found, nil
}
