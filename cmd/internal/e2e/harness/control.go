package harness

import (
	"encoding/json"
	"strings"
	"testing"
)

// IsolateDirs gives the programs of a test directories of their own for sockets and
// presets.
func IsolateDirs(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
}

// RunView runs a command of tbcam-view to its end and returns what it printed.
func RunView(t *testing.T, flag string, args ...string) string {
	t.Helper()
	p := Start(t, nil, "tbcam-view", append(args, flag)...)
	if code := p.WaitExit(); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, p.Err.String())
	}
	return strings.TrimSpace(p.Out.String())
}

// WantAnswer checks what a command prints.
func WantAnswer(t *testing.T, want, flag string, args ...string) {
	t.Helper()
	if got := RunView(t, flag, args...); got != want {
		t.Errorf("%v prints %q, want %q", args, got, want)
	}
}

// ListControls returns the values that tbcam-view controls --json prints.
func ListControls(t *testing.T, flag string) map[string]int64 {
	t.Helper()
	var list []struct {
		Key   string
		Value int64
	}
	if err := json.Unmarshal([]byte(RunView(t, flag, "controls", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]int64)
	for _, c := range list {
		values[c.Key] = c.Value
	}
	return values
}
