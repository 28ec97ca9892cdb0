package cli

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// listenNotify returns where a service manager receives notifications.
func listenNotify(t *testing.T) *net.UnixConn {
	t.Helper()
	address := net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	c, err := net.ListenUnixgram("unixgram", &address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", address.Name)
	return c
}

func TestKeepStatus(t *testing.T) {
	manager := listenNotify(t)
	want := func(text string) {
		t.Helper()
		b := make([]byte, 100)
		n, err := manager.Read(b)
		if got := string(b[:n]); err != nil || got != text {
			t.Errorf("the manager has %q, %v; want %q", got, err, text)
		}
	}
	states := make(chan string, 4) // the same twice is not repeated
	states <- "camera off"
	states <- "camera off"
	states <- "camera on"
	last := ""
	stop := KeepStatus(func() string {
		select {
		case last = <-states:
		default:
		}
		return last
	})
	want("READY=1\nSTATUS=camera off")
	want("STATUS=camera on")
	stop()
	want("STOPPING=1")
	manager.Close()
	KeepStatus(func() string { return "nobody listens" })()
	t.Setenv("NOTIFY_SOCKET", "")
	KeepStatus(func() string { t.Error("asked, though there is no manager"); return "" })()
}

// TestJournalLevels: lines in the journal begin with their level, and no other ones do.
func TestJournalLevels(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	for _, c := range []struct{ stream, want string }{
		{fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), "<7>p: a\n<6>p: b\n<4>p: c\n<3>p: d\n"},
		{fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1), "p: a\np: b\np: c\np: d\n"},
		{"", "p: a\np: b\np: c\np: d\n"},
	} {
		t.Setenv("JOURNAL_STREAM", c.stream)
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		log := NewLog(file, "p", slog.LevelDebug)
		log.Debug("a")
		log.Info("b")
		log.Warn("c")
		log.Error("d")
		if got, _ := os.ReadFile(file.Name()); string(got) != c.want {
			t.Errorf("JOURNAL_STREAM=%s: %q, want %q", c.stream, got, c.want)
		}
	}
}

// TestNoStrangersInUnits: a unit never serves whoever is at the other end; a terminal of a
// desktop, which is in a unit, may.
func TestNoStrangersInUnits(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, c := range []struct {
		pid, invocation string
		refused         bool
	}{{fmt.Sprint(os.Getpid()), "1234", true}, {"1", "1234", false}, {"", "", false}} {
		t.Setenv("SYSTEMD_EXEC_PID", c.pid)
		t.Setenv("INVOCATION_ID", c.invocation)
		for _, flags := range []TrustFlags{{allowUnpaired: true}, {}} {
			_, err := flags.Config("tbcam")
			if refused := err != nil; refused != (c.refused && flags.allowUnpaired) {
				t.Errorf("%+v, %+v: %v", c, flags, err)
			}
			if err != nil && (ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "pair")) {
				t.Error(err)
			}
		}
	}
}
