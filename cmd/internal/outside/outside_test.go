package outside

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	runGoWith(t, dir, []string{"GOPROXY=off"}, args...)
}

// runGoWith runs the go command with settings, without which it may download modules.
func runGoWith(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, slices.Concat(os.Environ(), []string{"GOFLAGS=-mod=mod", "GOWORK=off"}, env)
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
	startSend(t, ctx, dir, socket)
	for _, command := range [][]string{{"receive", socket}, {"record", socket, file}, {"virtualcam"}} {
		out := runProgram(t, ctx, dir, command...)
		if command[0] != "record" && strings.Count(out, "\n") < 10 {
			t.Errorf("%s prints too few frames: %s", command[0], out)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Size() < 10*64*48*2 {
		t.Errorf("the recording is %v, %v", info, err)
	}
}

// startSend runs send until the test is over.
func startSend(t *testing.T, ctx context.Context, dir, socket string) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	sender := exec.CommandContext(ctx, dir+"/bin/send", socket)
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = sender.Wait() // it was killed
	})
}

// runProgram returns what a program prints until it ends.
func runProgram(t *testing.T, ctx context.Context, dir string, command ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, dir+"/bin/"+command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", command[0], err, &out)
	}
	return out.String()
}

// TestGetUserMedia: pion/mediadevices finds the far camera in a program of another
// module, and reads its frames. That has a go.mod of its own, so that WebRTC, which
// pion links there, is in none of ours. It may be downloaded.
func TestGetUserMedia(t *testing.T) {
	dir := newModule(t)
	runGo(t, dir, "build", "-o", dir+"/bin/", "./send")
	for _, name := range []string{"go.mod", "go.sum"} { // which the go command may update
		if err := os.Rename(filepath.Join(dir, "getusermedia", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	runGoWith(t, "testdata/getusermedia", nil, "vet", "-modfile="+dir+"/go.mod", ".")
	runGoWith(t, "testdata/getusermedia", nil, "build", "-modfile="+dir+"/go.mod", "-o", dir+"/bin/", ".")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	socket := filepath.Join(dir, "s")
	startSend(t, ctx, dir, socket)
	out := runProgram(t, ctx, dir, "getusermedia", socket)
	// send has another grey in each frame, and a placeholder has always the same one.
	if frames := regexp.MustCompile(`(?m)^frame \d+ \(640,480\) \d+$`).FindAllString(out, -1); len(frames) != 30 {
		t.Errorf("it prints %d frames: %s", len(frames), out)
	}
}
