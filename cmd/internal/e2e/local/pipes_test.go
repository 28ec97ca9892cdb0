package local

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// shell runs a command of bash in a directory, to succeed.
func shell(t *testing.T, dir, command string, settings ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", command)
	var output bytes.Buffer
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, harness.Environ(settings...), &output, &output
	c.WaitDelay = time.Second // for what goes on in the background
	if err := c.Run(); err != nil {
		t.Errorf("%s: %v: %s", command, err, harness.Tail(output.String()))
	}
}

// TestRecordingToPipes: a FIFO, an open file by its name, and standard output by
// its name get a stream.
func TestRecordingToPipes(t *testing.T) {
	t.Parallel()
	const view = "tbcam-view $STREAM --frames=20 --record "
	for name, command := range map[string]string{
		"fifo":       "mkfifo f.mkv; " + view + "f.mkv & sleep 0.2; cat f.mkv > out; wait $!",
		"descriptor": view + "/dev/fd/7 7> out",
		"shell":      view + ">(cat > out)",
		"stdout":     view + "/dev/stdout > out",
		"piped":      view + "/dev/stdout | cat > out",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flag, path := harness.NewSocket(t)
			f := harness.NewFilm(320, 240, 30)
			f.Show(t, path)
			dir := t.TempDir()
			shell(t, dir, command, "STREAM="+flag, "PATH="+harness.Bin+":"+os.Getenv("PATH"))
			out := filepath.Join(dir, "out")
			harness.WaitUntil(t, "20 frames", func() bool {
				probed, _ := exec.Command("ffprobe", "-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", out).Output()
				return strings.Count(string(probed), "\n") == 20
			})
			begins, err := os.ReadFile(out)
			if err != nil || !bytes.Contains(begins[:4096], []byte("matroska")) {
				t.Errorf("%v: it begins with % x", err, begins[:16])
			}
		})
	}
}

// TestRecordingWithoutReader: tbcam-view waits for a FIFO's reader, and Ctrl-C ends that.
func TestRecordingWithoutReader(t *testing.T) {
	t.Parallel()
	flag, _ := harness.NewSocket(t)
	fifo := filepath.Join(t.TempDir(), "f.mkv")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	v := harness.StartViewer(t, flag, "--record="+fifo)
	v.WaitText("waiting for a reader")
	if code := v.Stop(syscall.SIGINT); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// wrapper is a tbcam-view that finds the test's film, and ends after some of it.
const wrapper = `#!/bin/sh
case $1 in repair) exec "$BIN/tbcam-view" "$@" ;; esac
exec "$BIN/tbcam-view" "$@" "$STREAM" --frames=30
`

var (
	blocks = regexp.MustCompile("(?s)\n```\n(.*?)```")
	spans  = regexp.MustCompile("`((?:tbcam-view|ffmpeg) [^`]*)`")
	option = regexp.MustCompile(`tbcam-view --record FILE`)
)

// documented returns the commands of a page: lines of its blocks, and what is set
// in a line as code.
func documented(t *testing.T, page string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
		commands = append(commands, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	for _, span := range spans.FindAllStringSubmatch(blocks.ReplaceAllString(string(text), ""), -1) {
		if !option.MatchString(span[1]) {
			commands = append(commands, span[1])
		}
	}
	return commands
}

// TestRecordingDocs runs each command of docs/recording.md. All that it writes can
// be played.
func TestRecordingDocs(t *testing.T) {
	t.Parallel()
	display := xvfb.Start(t)
	tools := t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, "tbcam-view"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	commands := documented(t, "../../../../docs/recording.md")
	if len(commands) < 10 {
		t.Errorf("only %d commands are found: %q", len(commands), commands)
	}
	for i, command := range commands {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			t.Log(command)
			flag, path := harness.NewSocket(t)
			harness.NewFilm(320, 240, 30).Show(t, path)
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "video"), 0o700); err != nil {
				t.Fatal(err)
			}
			settings := []string{"BIN=" + harness.Bin, "STREAM=" + flag, "DISPLAY=" + display.Name, "PATH=" + tools + ":" + os.Getenv("PATH")}
			if regexp.MustCompile(`(repair|-i) call`).MatchString(command) {
				shell(t, dir, "tbcam-view --record call.mkv", settings...)
			}
			shell(t, dir, strings.ReplaceAll(command, "/video/", dir+"/video/"), settings...)
			wantPlayable(t, dir, !strings.Contains(command, "--pre-roll")) // that waits for a command
		})
	}
}

// wantPlayable fails the test unless all files in a directory can be played. There
// has to be one, if that is wanted.
func wantPlayable(t *testing.T, dir string, want bool) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.*")
	more, _ := filepath.Glob(dir + "/video/*/*")
	files = append(files, more...)
	if err != nil || want && len(files) == 0 {
		t.Errorf("nothing is written, %v", err)
	}
	for _, file := range files {
		harness.WaitUntil(t, "a playable "+filepath.Base(file), func() bool {
			out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", file).CombinedOutput()
			return err == nil && regexp.MustCompile(`^[1-9]\d*\s`).Match(out) // once more for each program of a stream
		})
	}
}
