package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// statusEvery is how often a service's status is looked at.
const statusEvery = time.Second

// KeepStatus notifies the service manager that the program is ready, and what describe
// returns whenever that has changed, until the returned function is called. It does
// nothing where there is no manager (sd_notify(3)).
func KeepStatus(describe func() string) (stop func()) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return func() {}
	}
	last := describe()
	notifyManager(path, "READY=1\nSTATUS="+last)
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		runEvery(statusEvery, quit, func() {
			if now := describe(); now != last {
				last = now
				notifyManager(path, "STATUS="+now)
			}
		})
	})
	return func() {
		close(quit)
		running.Wait()
		notifyManager(path, "STOPPING=1")
	}
}

// notifyManager sends a datagram to the service manager. A manager that is gone misses it.
func notifyManager(path, state string) {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, state)
}

// isUnit reports whether the program was started by systemd as part of a unit. Terminals of a
// desktop are units as well, so that INVOCATION_ID alone means nothing.
func isUnit() bool {
	if pid := os.Getenv("SYSTEMD_EXEC_PID"); pid != "" && pid == strconv.Itoa(os.Getpid()) {
		return true
	}
	return os.Getenv("INVOCATION_ID") != "" && isJournal(os.Stderr)
}

// isJournal reports whether what is written goes to the journal: the variable names the
// file (systemd.exec(5)).
func isJournal(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// levelPrefix is what marks the level of a line for the journal (sd-daemon(3)).
func levelPrefix(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "<3>"
	case level >= slog.LevelWarn:
		return "<4>"
	case level >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// errUnpairedUnit is returned where a unit would serve anybody.
var errUnpairedUnit = errors.New("--allow-unpaired is not for services: anybody at the other end of the cable would be served; pair the computers instead")
