package local

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// What documented commands find in PATH: programs that use the test's stream and
// camera. A viewer ends after some frames.
const (
	sendWrapper = `#!/bin/sh
case $1 in list | peers | log) exec "$BIN/tbcam-send" "$@" ;; esac
exec "$BIN/tbcam-send" "$@" --camera=pattern --size=1280x720 --fps=5 "$STREAM"
`
	viewWrapper = `#!/bin/sh
case $1 in
repair | peers) exec "$BIN/tbcam-view" "$@" ;;
list | mode | control | controls) exec "$BIN/tbcam-view" "$@" --timeout=30s "$STREAM" ;;
esac
exec "$BIN/tbcam-view" "$@" --frames=3 "$STREAM"
`
	// sshWrapper runs a command as on another computer, which has a key of its own.
	sshWrapper = `#!/bin/sh
shift
XDG_STATE_HOME="$PWD/other" exec "$@"
`
)

// ourCommand matches a command of either program in a line of a block, after its
// prompt, or set as code. The name alone is one in a block only.
var (
	inBlock = regexp.MustCompile(`^(?:\w+\$ +)?((?:sudo )?tbcam-(?:send|view)(?: [^#]*)?)(?:#.*)?$`)
	inLine  = regexp.MustCompile("`((?:sudo )?tbcam-(?:send|view) [^`]*)`")
)

// ourCommands returns the commands of the pages, each once.
func ourCommands(t *testing.T, pages ...string) (commands []string) {
	t.Helper()
	seen := map[string]bool{}
	add := func(matches [][]string) {
		for _, m := range matches {
			if command := strings.TrimSpace(m[1]); !seen[command] {
				seen[command] = true
				commands = append(commands, command)
			}
		}
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("../../../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			for _, line := range strings.Split(block[1], "\n") {
				add(inBlock.FindAllStringSubmatch(line, -1))
			}
		}
		add(inLine.FindAllStringSubmatch(blocks.ReplaceAllString(string(text), ""), -1))
	}
	return commands
}

// elsewhere are documented commands that need what is not here, and the tests that
// run them.
var elsewhere = []struct{ command, test string }{
	{`setup`, "TestSetup"},
	{`doctor --report`, "TestReport"},
	{`doctor`, "TestCallsDoctor"},
	{`--virtual-camera`, "TestCallsFindANode"},
	{`--virtual-microphone`, "TestVirtualMicrophone"},
	{`latency-test`, "TestLatencyTest"},
	{` pair`, "TestPairAlone"},
	{`--stream tbcam@`, "TestTwoHosts"},
	{`--camera C920 --record`, "TestSeveralCameras"},
	{`--camera infrared`, "TestSeveralCameras"},
}

// placeholders stand for what a reader fills in.
var placeholders = strings.NewReplacer("FILE", "call.mkv", "NAME", "anna@desktop")

// testOf returns the test of a command that runs elsewhere, "" of others.
func testOf(command string) string {
	for _, e := range elsewhere {
		if strings.Contains(command, e.command) {
			return e.test
		}
	}
	return ""
}

// documentedPages returns all pages, but for the one whose commands TestRecordingDocs runs.
func documentedPages(t *testing.T) []string {
	t.Helper()
	pages, err := fs.Glob(os.DirFS("../../../.."), "docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%v: %q", err, pages)
	}
	return append([]string{"README.md", "docs/usage.md"}, slices.DeleteFunc(pages, func(p string) bool { return p == "docs/recording.md" })...)
}

// TestDocumentedCommands runs the commands of all pages.
func TestDocumentedCommands(t *testing.T) {
	commands := ourCommands(t, documentedPages(t)...)
	if len(commands) < 40 {
		t.Fatalf("only %d commands are found: %q", len(commands), commands)
	}
	d := newDocumentedRuns(t)
	d.sender = d.start("tbcam-send")
	for _, command := range commands {
		t.Log(command)
		switch test := testOf(command); {
		case test != "":
			wantTest(t, test)
		case command == "tbcam-send" || strings.HasPrefix(command, "tbcam-send -"):
			d.runSender(command)
		default:
			d.run(command)
		}
	}
}

// wantTest fails the test unless a function of that name is in the tests of a rung.
func wantTest(t *testing.T, name string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", "grep -q '^func "+name+"' ../*/*_test.go").CombinedOutput(); err != nil {
		t.Errorf("%s is no test: %s", name, out)
	}
}

// documentedRuns runs documented commands, one after the other, in one directory.
type documentedRuns struct {
	t        *testing.T
	dir      string
	settings []string
	sender   *harness.Program
}

func newDocumentedRuns(t *testing.T) *documentedRuns {
	t.Helper()
	tools, dir := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"tbcam-send": sendWrapper, "tbcam-view": viewWrapper, "ssh": sshWrapper} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	flag, _ := harness.NewSocket(t)
	return &documentedRuns{t: t, dir: dir, settings: []string{
		"BIN=" + harness.Bin, "STREAM=" + flag, "DISPLAY=" + xvfb.Start(t).Name, "PATH=" + tools + ":" + os.Getenv("PATH"),
		"XDG_CONFIG_HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "XDG_STATE_HOME=" + dir,
	}}
}

// start starts a command; what only some cameras have is omitted.
func (d *documentedRuns) start(command string) *harness.Program {
	d.t.Helper()
	command = placeholders.Replace(strings.ReplaceAll(command, ` auto_exposure="Manual Mode"`, ""))
	p := harness.Prepare(d.t, "tbcam-view")
	p.Path, p.Args = "/bin/sh", []string{"sh", "-c", "exec " + command}
	p.Dir, p.Env = d.dir, harness.Environ(d.settings...)
	p.Launch()
	return p
}

// run runs a command, beside a viewer where it is about one that runs, and with a paired
// computer where it is about that.
func (d *documentedRuns) run(command string) {
	d.t.Helper()
	if strings.Contains(command, "peers grant") || strings.Contains(command, "peers forget") {
		d.start(`sh -c 'tbcam-send peers add "$(XDG_STATE_HOME=$PWD/anna tbcam-view peers self)" anna@desktop'`).WaitExit() // it may be there
	}
	if strings.HasPrefix(command, "tbcam-view mode") {
		v := d.start(`"$BIN/tbcam-view" --record=beside.mkv --force "$STREAM"`)
		v.WaitText("camera is on")
		defer v.Stop(syscall.SIGINT)
	}
	if code := d.start(command).WaitExit(); code != 0 {
		d.t.Errorf("%s: exit code %d", command, code)
	}
}

// runSender runs a command in the place of the sender: a viewer records from it.
func (d *documentedRuns) runSender(command string) {
	d.t.Helper()
	d.sender.Stop(syscall.SIGTERM)
	d.sender = d.start(command)
	if code := d.start("tbcam-view --record=sent.mkv --force").WaitExit(); code != 0 {
		d.t.Errorf("%s: its viewer ends with exit code %d", command, code)
	}
}
