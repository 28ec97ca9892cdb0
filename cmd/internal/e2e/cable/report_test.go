//go:build cable

package cable

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// TestReport: the genuine driver is named, with the controller and the cable that it shows, and
// measured in both directions, without loss.
func TestReport(t *testing.T) {
	theCable.send(t)
	v := harness.StartViewer(t, "--stream="+theCable.viewer, "doctor", "--report", "--timeout=1m")
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	text := v.Out.String()
	for _, want := range []string{
		`driver +thunderbolt_stream, module`, `controller +domain\d+: `, `cable +domain\d+: receives .*; ring of \d+ packets, throttling \d+ ns`,
		`kind +USB4STREAM`, `round trip +p50 [0-9.]+ ms`, `to the viewer +[1-9]\d* MB/s`, `from it +[1-9]\d* MB/s`,
		`damage +0 records, 0 bytes`, `losses +0 bytes; sessions that ended: 0`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %q in the report", want)
		}
	}
	t.Log(strings.TrimSpace(text))
}
