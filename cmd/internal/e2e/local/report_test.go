package local

import (
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// reportFigures masks what differs in a report: the host, and what was measured.
var (
	reportFigures = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)
	reportHost    = regexp.MustCompile(`(?s)^tbcam report.*?\n(The line\n.*)$`)
)

// lineReport is what a report has of a good line.
const lineReport = `    round trip    pN N ms, pN N ms, max N ms (N on the idle line)
    to the viewer N MB/s (N MB in N s)
    from it       N MB/s (N MB in N s)
    stalls        N over Nms; longest exchange N ms
    damage        N records, N bytes
    losses        N bytes; sessions that ended: N
`

// checkReport compares a report, with its figures masked, and looks for what is private.
func checkReport(t *testing.T, text, want string) {
	t.Helper()
	found := reportHost.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no report: %q", text)
	}
	masked := regexp.MustCompile(`viewer \S+, sender \S+`).ReplaceAllString(found[1], "viewer V, sender V")
	masked = reportFigures.ReplaceAllString(masked, "N")
	if want = reportFigures.ReplaceAllString(want, "N"); masked != want {
		t.Errorf("got\n%s\nwant\n%s", masked, want)
	}
	// A busy machine may end a session: that is not checked.
	for _, line := range []string{"damage        0 records, 0 bytes", "losses        0 bytes; "} {
		if strings.Count(text, line) != strings.Count(want, "damage") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	for _, private := range privateNames(t) {
		if strings.Contains(text, private) {
			t.Errorf("the report has %q:\n%s", private, text)
		}
	}
}

// privateNames returns what a report must not have.
func privateNames(t *testing.T) []string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{t.TempDir(), os.TempDir() + "/", "unix:"}
	if len(host) > 3 { // a shorter one may be part of any word
		names = append(names, host)
	}
	if me, err := user.Current(); err == nil {
		names = append(names, me.HomeDir+"/")
	}
	return names
}

// TestReport: over a socket, with a line that is cut when the user is asked to unplug it, and a
// sender that is stopped when one is asked to suspend a computer.
func TestReport(t *testing.T) {
	t.Parallel()
	_, path := harness.NewSocket(t)
	line, toLine := harness.LayLine(t, path)
	screen := harness.NewScreen(t)
	v := harness.Prepare(t, "tbcam-view", "doctor", "--report", "--replug", "--suspend", "--stream=unix:"+path)
	screen.Connect(v)
	v.Launch()
	s := harness.StartSender(t, toLine)
	screen.Await(t, "(Unplug the cable now)")
	line.Cut()
	screen.Await(t, "(Suspend one of the computers now)")
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := s.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if signal == syscall.SIGSTOP {
			screen.Await(t, "(?s)Suspend one of.*(lost the connection to the sender)")
		}
	}
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, screen.Text())
	}
	checkReport(t, v.Out.String(), "The line\n    versions      viewer V, sender V\n    kind          Unix socket, within this computer\n"+lineReport+
		"After a replug\n    session       lost for N s\n"+lineReport+"After a suspend\n    session       lost for N s\n"+lineReport)
}

// TestReportOverADevice: two paired hosts with a character device between them; beside a
// viewer that has the stream it measures nothing.
func TestReportOverADevice(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	viewerKey := h.run(h.viewerState, "tbcam-view", "peers", "self")
	h.run(h.senderState, "tbcam-send", "peers", "add", viewerKey, "annas-desktop")
	h.run(h.viewerState, "tbcam-view", "peers", "add", h.run(h.senderState, "tbcam-send", "peers", "self"), "annas-laptop")
	s := harness.Start(t, []string{"XDG_STATE_HOME=" + h.senderState}, "tbcam-send", "--camera=pattern", "--stream="+h.sender)
	text := h.run(h.viewerState, "tbcam-view", "doctor", "--report", "--timeout=1m", "--stream="+h.viewer)
	checkReport(t, text+"\n", "The line\n    versions      viewer V, sender V\n    kind          character device\n"+lineReport)
	if strings.Contains(text, "annas") {
		t.Errorf("the report names a computer:\n%s", text)
	}
	if log := s.Err.String(); strings.Contains(log, "camera is on") {
		t.Errorf("the camera was turned on:\n%s", log)
	}
	v := harness.Start(t, []string{"XDG_STATE_HOME=" + h.viewerState}, "tbcam-view", "--stream="+h.viewer, "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	v.WaitText("camera is on")
	text = h.run(h.viewerState, "tbcam-view", "doctor", "--report", "--timeout=1m", "--stream="+h.viewer)
	if !strings.Contains(text, "another tbcam-view has the stream") {
		t.Errorf("beside a viewer:\n%s", text)
	}
	v.Stop(syscall.SIGINT)
}

// TestReportAlone: who is not there is waited for as long as is asked, and what cannot be
// asked is a mistake.
func TestReportAlone(t *testing.T) {
	t.Parallel()
	flag, _ := harness.NewSocket(t)
	for args, want := range map[string]int{"--report --timeout=1s": 1, "--report --replug": 2, "--suspend": 2} {
		v := harness.Start(t, nil, "tbcam-view", append(strings.Fields("doctor "+args), flag)...)
		if code := v.WaitExit(); code != want || v.Out.String() != "" || v.Err.String() == "" {
			t.Errorf("%s: exit code %d, want %d: %q %q", args, code, want, v.Out.String(), v.Err.String())
		}
	}
}
