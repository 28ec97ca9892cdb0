package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/transport/trust"
)

// runPeers runs a command of a program whose peers have a role.
func runPeers(t *testing.T, role trust.Role, args ...string) (string, error) {
	t.Helper()
	program := map[trust.Role]string{trust.RoleViewer: "tbcam-send", trust.RoleSender: "tbcam-view"}[role]
	root := &cobra.Command{Use: program, SilenceErrors: true, SilenceUsage: true}
	AddPeers(root, role)
	AddLog(root)
	var out strings.Builder
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

// useState gives the test a state directory of its own, and returns where files are.
func useState(t *testing.T) string {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", "")
	t.Setenv("XDG_STATE_HOME", dir)
	return filepath.Join(dir, "tbcam")
}

// TestPeers: two computers are paired by hand, and one of them is given rights and forgotten.
func TestPeers(t *testing.T) {
	useState(t)
	run := func(role trust.Role, args ...string) string {
		t.Helper()
		out, err := runPeers(t, role, args...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out
	}
	key := strings.TrimSpace(run(trust.RoleSender, "peers", "self"))
	var self struct{ Key string }
	if err := json.Unmarshal([]byte(run(trust.RoleViewer, "peers", "self", "--json")), &self); err != nil || self.Key != key {
		t.Errorf("both programs of a user have one key; got %q and %q, %v", key, self.Key, err)
	}
	if out := run(trust.RoleViewer, "peers", "list", "--json"); out != "[]\n" {
		t.Errorf("without peers it prints %q", out)
	}
	run(trust.RoleViewer, "peers", "add", strings.ToUpper(key), "desktop", "--control")
	run(trust.RoleSender, "peers", "add", key, "laptop")
	if out := run(trust.RoleViewer, "peers"); !strings.HasPrefix(out, "desktop  "+key+"  paired ") || !strings.HasSuffix(out, "all cameras, control\n") {
		t.Errorf("it prints %q", out)
	}
	out := run(trust.RoleViewer, "peers", "grant", "desktop", "--control=false", "--microphone", "--camera", "C920")
	if out != "desktop may have: cameras C920, microphone\n" {
		t.Errorf("it prints %q", out)
	}
	var paired []trust.Peer
	if err := json.Unmarshal([]byte(run(trust.RoleViewer, "peers", "list", "--json")), &paired); err != nil ||
		len(paired) != 1 || paired[0].Name != "desktop" || paired[0].Rights.Control {
		t.Errorf("got %+v, %v", paired, err)
	}
	run(trust.RoleViewer, "peers", "forget", "desktop")
	if out := run(trust.RoleSender, "peers", "list"); !strings.HasPrefix(out, "laptop") {
		t.Errorf("the sender is gone, too: %q", out)
	}
	log := run(trust.RoleViewer, "log")
	for i, line := range strings.Split(strings.TrimSpace(log), "\n") {
		if want := []string{"paired  desktop", "paired  laptop", "granted  desktop  (cameras C920", "forgot  desktop"}[i]; !strings.Contains(line, want) {
			t.Errorf("line %d of the log is %q, want %q in it", i, line, want)
		}
	}
	var e trust.Event
	if err := json.Unmarshal([]byte(strings.SplitAfter(run(trust.RoleViewer, "log", "--json"), "\n")[0]), &e); err != nil || e.Kind != trust.EventPaired {
		t.Errorf("the first event is %+v, %v", e, err)
	}
}

func TestPeersErrors(t *testing.T) {
	dir := useState(t)
	key, err := runPeers(t, trust.RoleViewer, "peers", "self")
	if err != nil {
		t.Fatal(err)
	}
	key = strings.TrimSpace(key)
	if _, err := runPeers(t, trust.RoleViewer, "peers", "add", key, "desktop"); err != nil {
		t.Fatal(err)
	}
	other := "a" + key[1:]
	if key[0] == 'a' {
		other = "b" + key[1:]
	}
	for _, c := range []struct {
		args   []string
		code   int
		remedy string
	}{
		{[]string{"peers", "forget", "laptop"}, ExitFailure, "peers lists"},
		{[]string{"peers", "grant", "laptop", "--control"}, ExitFailure, "peers lists"},
		{[]string{"peers", "add", "abc", "x"}, ExitUsage, "peers self"},
		{[]string{"peers", "add", key, "a\nb"}, ExitUsage, ""},
		{[]string{"peers", "add", other, "desktop"}, ExitFailure, "peers forget"},
		{[]string{"peers", "grant", "desktop", "--camera", ""}, ExitUsage, ""},
		{[]string{"peers", "forget"}, ExitUsage, "--help"},
		{[]string{"peers", "lst"}, ExitUsage, "--help"},
	} {
		_, err := runPeers(t, trust.RoleViewer, c.args...)
		if ExitCode(err) != c.code || !strings.Contains(Explain(err), c.remedy) {
			t.Errorf("%q: exit code %d, %s", c.args, ExitCode(err), Explain(err))
		}
	}
	path := filepath.Join(dir, "peers.json")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = runPeers(t, trust.RoleViewer, "peers")
	if text := Explain(err); !errors.Is(err, trust.ErrMode) || !strings.HasSuffix(text, "; run: chmod go-rwx "+path) {
		t.Errorf("peers that others can read: %s", text)
	}
}

func TestQuoteShell(t *testing.T) {
	for path, want := range map[string]string{"/a/b-c_d.e": "/a/b-c_d.e", "/a b": "'/a b'", "/it's": `'/it'\''s'`} {
		if got := quoteShell(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
