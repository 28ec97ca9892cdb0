package outside

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// maxLines is how long a program may be, without blank lines.
const maxLines = 40

// newModule returns a directory with the programs of testdata in a module of their
// own, which requires what this one does, and this one from where it is.
func newModule(t *testing.T) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	runGo(t, dir, "mod", "edit", "-module=example.com/outside",
		"-require=github.com/tbcam/tbcam@v0.0.0", "-replace=github.com/tbcam/tbcam="+root)
	return dir
}

// runGo runs the go command without a network.
func runGo(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", cmd, err, out)
	}
}

// TestOutsideModule: a program of another module receives frames, sends its own,
// records, and publishes a virtual camera, each in a few lines.
func TestOutsideModule(t *testing.T) {
	dir := newModule(t)
	runGo(t, dir, "build", "-o", dir+"/bin/", "./...")
	for _, name := range []string{"receive", "send", "record", "virtualcam"} {
		source, err := os.ReadFile(filepath.Join(dir, name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(regexp.MustCompile(`(?m)^.+$`).FindAll(source, -1)); n >= maxLines {
			t.Errorf("%s has %d lines, want less than %d", name, n, maxLines)
		}
	}
	runPrograms(t, dir)
}

// runPrograms runs each of them against send.
func runPrograms(t *testing.T, dir string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "a.mkv")
	sender := exec.CommandContext(ctx, dir+"/bin/send", socket)
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = sender.Wait() // it was killed
	}()
	for _, command := range [][]string{{"receive", socket}, {"record", socket, file}, {"virtualcam"}} {
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, dir+"/bin/"+command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v: %s", command[0], err, &out)
		}
		if command[0] != "record" && strings.Count(out.String(), "\n") < 10 {
			t.Errorf("%s prints too few frames: %s", command[0], &out)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Size() < 10*64*48*2 {
		t.Errorf("the recording is %v, %v", info, err)
	}
}
