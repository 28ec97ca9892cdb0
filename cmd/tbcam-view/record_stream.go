package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
)

// isStdout reports whether a path names standard output.
func isStdout(path string) bool {
	return slices.Contains([]string{"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}, path)
}

// descriptorOf returns the file descriptor that a path names, as shells name those
// of >(...).
func descriptorOf(path string) (fd int, ok bool) {
	if isStdout(path) {
		return 1, true
	}
	dir, name := filepath.Split(path)
	if dir != "/dev/fd/" && dir != "/proc/self/fd/" {
		return 0, false
	}
	fd, err := strconv.Atoi(name)
	return fd, err == nil && fd >= 0
}

// isStream reports whether what is written to a path is a stream: standard output
// or another open file, a FIFO or a device.
func isStream(path string) bool {
	if _, ok := descriptorOf(path); ok {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0
}

// checkStream refuses flags of a recording that cannot work on a stream.
func (r *recordFlags) checkStream(o *record.Options) error {
	switch {
	case isStdout(r.path) && term.IsTerminal(int(os.Stdout.Fd())):
		return errors.New("--record -: standard output is a terminal; redirect it to a file or a pipe")
	case o.Kind == container.AVI || o.Kind == container.Directory:
		return fmt.Errorf("--record-format %v needs files; mkv, mp4 and mjpeg can be written to standard output and pipes", o.Kind)
	case o.Segment != (record.Limit{}) || o.Keep != (record.Limit{}):
		return errors.New("--segment and --keep need files; standard output or a pipe is one stream")
	}
	return nil
}

// readerInterval is how often a FIFO is tried that nobody reads.
const readerInterval = 50 * time.Millisecond

// openStream opens a stream to write to. It waits for the reader of a FIFO until
// ending is closed.
func openStream(path string, ending <-chan struct{}, log *slog.Logger) (*os.File, error) {
	if fd, ok := descriptorOf(path); ok {
		f := os.NewFile(uintptr(fd), path)
		_, err := f.Stat()
		return f, err
	}
	for tries := 0; ; tries++ {
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.ENXIO) {
			return f, err
		}
		if tries == 0 {
			log.Info("waiting for a reader", "fifo", path)
		}
		select {
		case <-ending:
			return nil, context.Canceled
		case <-time.After(readerInterval):
		}
	}
}
