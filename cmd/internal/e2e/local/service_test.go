package local

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// manager is what a service manager was notified of.
type manager struct {
	harness.Output
	settings []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	address := net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	c, err := net.ListenUnixgram("unixgram", &address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	m := &manager{settings: []string{"NOTIFY_SOCKET=" + address.Name}}
	go func() {
		for b := make([]byte, 1000); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			_, _ = m.Write(append(b[:n:n], '\n'))
		}
	}()
	return m
}

func (m *manager) wait(t *testing.T, text string) {
	t.Helper()
	harness.WaitUntil(t, text, func() bool { return strings.Contains(m.String(), text) })
}

// TestServiceStatus: services notify their manager that they are ready before anybody is
// connected, what they do now, and that they end.
func TestServiceStatus(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	viewing, sending := newManager(t), newManager(t)
	v := harness.Start(t, viewing.settings, "tbcam-view", flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	viewing.wait(t, "READY=1\nSTATUS=camera off; waiting for tbcam-send\n")
	s := harness.Start(t, sending.settings, "tbcam-send", append(harness.SmallPattern, flag)...)
	sending.wait(t, "READY=1\nSTATUS=camera o")
	sending.wait(t, "STATUS=camera on\n")
	viewing.wait(t, " connected\n")
	viewing.wait(t, "STATUS=camera on; ")
	s.Stop(syscall.SIGTERM)
	sending.wait(t, "STOPPING=1\n")
	harness.WaitUntil(t, "the sender's end", func() bool {
		return strings.HasSuffix(viewing.String(), "STATUS=camera off; waiting for tbcam-send\n")
	})
	v.Stop(syscall.SIGTERM)
	viewing.wait(t, "STOPPING=1\n")
}
