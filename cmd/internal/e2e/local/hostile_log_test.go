package local

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// TestHostileLog: a sender that always has something new to report fills no disk, and
// writes nothing to the terminal but text.
func TestHostileLog(t *testing.T) {
	flag, path := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	p := offer(t, path)
	const statuses = 60 // more would violate the protocol, and the log has 50 in a burst
	for n := range statuses {
		status := transport.Status{State: transport.Waiting, Text: fmt.Sprintf("cause %d\x1b[2J\u009b31m\u202e", n)}
		if err := p.WriteMessage(wire.Status, hostile.Stream, status); err != nil {
			t.Fatal(err)
		}
	}
	v.WaitText("more suppressed")
	v.WaitText("cause 0")
	p.Close()
	v.Stop(syscall.SIGTERM)
	output := v.Err.String()
	if n := strings.Count(output, "no picture: cause"); n > 56 { // and 5 a second
		t.Errorf("%d lines of %d that the sender caused", n, statuses)
	}
	for line := range strings.Lines(output) {
		if line = strings.TrimSuffix(line, "\n"); capture.Printable(line) != line {
			t.Errorf("%q is not printable", line)
		}
	}
}
