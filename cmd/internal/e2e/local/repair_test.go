package local

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// TestRepair: a recording whose viewer was killed becomes seekable; one that goes
// on is left alone.
func TestRepair(t *testing.T) {
	flag, _ := harness.NewSocket(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	v := harness.StartViewer(t, flag, "--record="+file)
	harness.StartSender(t, flag)
	harness.WaitUntil(t, "half a megabyte", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 500_000
	})
	wantOneLine(t, 7, "a.mkv: file is being recorded; stop that recording first", "repair", file)
	v.Stop(syscall.SIGKILL)
	for _, message := range []string{": repaired: ", ": nothing to repair: "} {
		p := harness.Start(t, nil, "tbcam-view", "repair", file)
		if code := p.WaitExit(); code != 0 || !strings.HasPrefix(p.Out.String(), file+message) {
			t.Errorf("exit code %d, %q", code, p.Out.String())
		}
	}
	got := harness.RunTool(t, "ffprobe", "-v", "warning", "-of", "csv=p=0", "-show_entries", "format=duration", file)
	if strings.TrimSpace(got) == "N/A" {
		t.Error("the duration is not known")
	}
}

func TestRepairMistakes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := file("text.mkv", "no video", 0o644)
	for _, c := range []struct {
		code    int
		message string
		args    []string
	}{
		{2, "no file given", nil},
		{7, "no such file or directory", []string{filepath.Join(dir, "none.mkv")}},
		{7, "text.mkv: not a recording of tbcam", []string{text}},
		{7, "not a recording", []string{file("short.mkv", "\x1a\x45\xdf\xa3\xa3\x42", 0o644)}},
		{7, "not a recording", []string{dir}},
		{7, "not a recording", []string{"/dev/zero"}},
		{7, "repair: ", []string{os.Args[0]}}, // a program that runs
	} {
		wantOneLine(t, c.code, c.message, append([]string{"repair"}, c.args...)...)
	}
	p := harness.Start(t, nil, "tbcam-view", "repair", text, filepath.Join(dir, "none.mkv"))
	if code := p.WaitExit(); code != 7 || strings.Count(p.Err.String(), "\ntbcam-view: repair: ") != 1 {
		t.Errorf("two mistakes: exit code %d, %q", code, p.Err.String())
	}
}

// wantOneLine runs tbcam-view and checks that it reports in one line what is wrong.
func wantOneLine(t *testing.T, want int, message string, args ...string) {
	t.Helper()
	p := harness.Start(t, nil, "tbcam-view", args...)
	if code := p.WaitExit(); code != want {
		t.Errorf("%v: exit code %d, want %d", args, code, want)
	}
	if output := p.Err.String(); strings.Count(output, "\n") != 1 || !strings.Contains(output, message) {
		t.Errorf("%v: got %q; want one line with %q", args, output, message)
	}
}
