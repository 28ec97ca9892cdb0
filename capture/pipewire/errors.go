package pipewire

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Errors that callers act on; what this package returns wraps them.
var (
	// ErrNoLibrary: libpipewire is not installed.
	ErrNoLibrary = errors.New("libpipewire-0.3 is not installed")
	// ErrNoSession: this process is in no user's session, as root's and services'.
	ErrNoSession = errors.New("PipeWire runs in a user's session, and XDG_RUNTIME_DIR is not set")
	// ErrNotRunning: no PipeWire serves this session.
	ErrNotRunning = errors.New("PipeWire is not running")
	// ErrNoSessionManager: nothing connects cameras to applications.
	ErrNoSessionManager = errors.New("PipeWire has no session manager")
	// ErrLost: PipeWire has ended, or ended the connection.
	ErrLost = errors.New("connection to PipeWire was lost")
	// ErrTimeout: PipeWire or a program behind it does not answer.
	ErrTimeout = errors.New("PipeWire does not answer")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("closed")
)

// explain returns what failed and why, from a negative errno of C.
func explain(op string, errno int) error {
	switch err := syscall.Errno(-errno); err {
	case syscall.EPIPE:
		return fmt.Errorf("%s: %w", op, ErrLost)
	case syscall.ESRCH:
		return fmt.Errorf("%s: %w", op, ErrNoSessionManager)
	case syscall.ETIMEDOUT:
		return fmt.Errorf("%s: %w", op, ErrTimeout)
	default:
		return fmt.Errorf("%s: %w", op, err)
	}
}

// systemDir is where a PipeWire for all users has its socket.
const systemDir = "/run/pipewire"

// findSocket returns why there is no PipeWire to connect to, if that is plain: to try
// costs threads.
func findSocket() error {
	if os.Getenv("PIPEWIRE_REMOTE") != "" {
		return nil
	}
	found := false
	for _, dir := range []string{os.Getenv("PIPEWIRE_RUNTIME_DIR"), os.Getenv("XDG_RUNTIME_DIR"), systemDir} {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "pipewire-0")); err == nil {
			return nil
		}
		found = found || dir != systemDir
	}
	if !found {
		return ErrNoSession
	}
	return ErrNotRunning
}
