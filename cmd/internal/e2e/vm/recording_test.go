//go:build vm

package vm

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// mountVFAT returns a directory of a FAT file system.
func mountVFAT(t *testing.T) string {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "vfat"), t.TempDir()
	if err := os.WriteFile(image, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.RunTool(t, "busybox", "mkdosfs", image)
	harness.RunTool(t, "modprobe", "-a", "loop", "vfat")
	harness.RunTool(t, "mount", "-t", "vfat", "-o", "loop", image, dir)
	t.Cleanup(func() { harness.RunTool(t, "umount", dir) })
	return dir
}

// TestNamesOfVFAT: a name that the file system does not take is refused at the
// start; one that it takes is recorded.
func TestNamesOfVFAT(t *testing.T) {
	dir := mountVFAT(t)
	flag, path := harness.NewSocket(t)
	harness.NewFilm(160, 120, 5).Show(t, path)
	for _, args := range [][]string{
		{"--record=" + dir + "/%H:%M:%S.mkv"}, {"--record=" + dir + "/%F/%H:%M.mkv"}, {"--record=" + dir + "/a?.mkv"}, {"--record=" + dir + "/a:b/"},
		{"--snapshot=" + dir + "/%H:%M:%S.png", "--snapshot-every=1s"}, {"--snapshot=" + dir + "/a:b.png"},
	} {
		wantRefusal(t, harness.StartViewer(t, flag, args...), 7, "invalid argument")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, arg := range []string{"--record=" + dir + "/%F/a-%H%M%S.mkv", "--snapshot=" + dir + "/b.png"} {
		if code := harness.StartViewer(t, flag, "--frames=3", arg).WaitExit(); code != 0 {
			t.Errorf("%s: exit code %d", arg, code)
		}
	}
	if files, _ := filepath.Glob(dir + "/*/a-*.mkv"); len(files) != 1 {
		t.Errorf("recorded are %q", files)
	}
}

// setClock sets the clock of the machine.
func setClock(t *testing.T, to time.Time) {
	t.Helper()
	if err := syscall.Settimeofday(&syscall.Timeval{Sec: to.Unix()}); err != nil {
		t.Fatal(err)
	}
}

// TestClockIsSet: a host that has begun in 1970 learns the time. No segment is lost,
// and the next ones have that time.
func TestClockIsSet(t *testing.T) {
	start := time.Now()
	now := func() time.Time { return start.Round(0).Add(time.Since(start)) }
	defer func() { setClock(t, now()) }()
	setClock(t, time.Date(1970, 1, 1, 12, 0, 0, 0, time.UTC))
	flag, path := harness.NewSocket(t)
	dir := t.TempDir()
	v := harness.StartViewer(t, flag, "--record="+dir+"/%Y-%m-%d-%H%M%S.mkv", "--segment=1s", "--keep=1h")
	harness.NewFilm(160, 120, 5).Show(t, path)
	segments := func(year string) []string {
		files, _ := filepath.Glob(dir + "/" + year + "-*.mkv")
		return files
	}
	harness.WaitUntil(t, "segments of 1970", func() bool { return len(segments("1970")) > 2 })
	setClock(t, now())
	year := now().Local().Format("2006")
	harness.WaitUntil(t, "segments of today", func() bool { return len(segments(year)) > 3 })
	if code := v.Stop(syscall.SIGINT); code != 0 || strings.Contains(v.Err.String(), "old segment removed") {
		t.Errorf("exit code %d", code)
	}
	for _, file := range append(segments("1970"), segments(year)...) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Until(info.ModTime()).Abs(); age > 10*time.Minute {
			t.Errorf("%s was changed %v ago", file, age)
		}
	}
	if n := len(segments("1970")); n < 3 {
		t.Errorf("of 1970 %d segments are left", n)
	}
	created := probe(t, segments(year)[2]).Format.Tags.Created
	if d := now().Sub(created).Abs(); d > 10*time.Minute {
		t.Errorf("a segment has %v as its creation time", created)
	}
}
