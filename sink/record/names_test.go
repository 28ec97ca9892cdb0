package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/sink/container"
)

func TestExpand(t *testing.T) {
	at := time.Date(2026, 3, 7, 4, 5, 6, 0, time.UTC)
	for pattern, want := range map[string]string{
		"cam-%Y%m%d-%H%M%S.mkv": "cam-20260307-040506.mkv",
		"%F/%y%j.mp4":           "2026-03-07/26066.mp4",
		"100%% %d.avi":          "100% 07.avi",
		Pattern("a/b.mkv"):      "a/b-20260307-040506.mkv",
		Pattern("frames/"):      "frames-20260307-040506/",
		Pattern("noext"):        "noext-20260307-040506",
	} {
		if got := Expand(pattern, at); got != want {
			t.Errorf("%s becomes %s, want %s", pattern, got, want)
		}
		if err := CheckPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, message := range map[string]string{"a-%Q.mkv": "%Q is unknown", "a.mkv%": "must not end in %"} {
		if err := CheckPattern(pattern); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", pattern, err, message)
		}
	}
}

// TestOurFiles: only what the pattern can have made is ever removed.
func TestOurFiles(t *testing.T) {
	dir := t.TempDir()
	ours := []string{"2026-01-02/[c]am-030405.mkv", "2026-01-02/[c]am-030405-2.mkv", "2026-12-31/[c]am-235959-17.mkv"}
	others := []string{
		"2026-01-02/[c]am-03040.mkv", "2026-01-02/[c]am-030405.mkv.bak", "2026-01-02/[c]am-030405-0.mkv", "2026-01-02/[c]am-030405-x.mkv",
		"2026-01-02/cam-030405.mkv", "2026-1-2/[c]am-030405.mkv", "[c]am-030405.mkv", "2026-01-02/my[c]am-030405.mkv",
	}
	for _, name := range append(ours, others...) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	n := names{path: cleanPath(dir + "//./%F/[c]am-%H%M%S.mkv"), pattern: true}
	got, err := n.listFiles()
	if err != nil {
		t.Fatal(err)
	}
	for i := range ours {
		ours[i] = filepath.Join(dir, ours[i])
	}
	slices.Sort(got)
	slices.Sort(ours)
	if !slices.Equal(got, ours) {
		t.Errorf("found %q, want %q", got, ours)
	}
}

// TestRefusedPaths: what can be known before the first frame is reported before it.
func TestRefusedPaths(t *testing.T) {
	dir := t.TempDir()
	exists := filepath.Join(dir, "a.mkv")
	if err := os.WriteFile(exists, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		exists:                            fs.ErrExist,
		filepath.Join(dir, "no", "b.mkv"): fs.ErrNotExist,
		filepath.Join(dir, "no/%Y.mkv"):   fs.ErrNotExist,
		exists + "/a.mkv":                 syscall.ENOTDIR,
	} {
		r, err := New(Options{Path: path})
		if r != nil || err == nil || !errors.Is(err, want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v in one line", path, err, want)
		}
	}
	if b, err := os.ReadFile(exists); string(b) != "precious" {
		t.Errorf("the file that existed holds %q, %v", b, err)
	}
	if _, err := New(Options{Path: dir, Force: true}); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("left behind: %q", got)
	}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]Limit{
		"10m": {Time: 10 * time.Minute}, "7d": {Time: 7 * 24 * time.Hour}, "1h30m": {Time: 90 * time.Minute},
		"500MB": {Size: 500e6}, "500M": {Size: 500e6}, "20GiB": {Size: 20 << 30}, "20GB,7d": {20e9, 7 * 24 * time.Hour},
		"7d,20GB": {20e9, 7 * 24 * time.Hour},
	} {
		if got, err := ParseLimit(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "10", "-5m", "0MB", "7days", "1h,2h", "10m,5m", "1GB,2GB", "1h,1GB,1h", "99999999999GB", "d"} {
		if got, err := ParseLimit(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

// TestCheckName: a name that will never do is refused, one for which something
// may pass is not, and nothing is left behind.
func TestCheckName(t *testing.T) {
	dir := t.TempDir()
	exists := filepath.Join(dir, "a")
	loop := filepath.Join(dir, "loop")
	if err := errors.Join(os.WriteFile(exists, []byte("precious"), 0o600), os.Symlink("loop", loop)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, strings.Repeat("x", 256)): syscall.ENAMETOOLONG,
		filepath.Join(loop, "b"):                     syscall.ELOOP,
		filepath.Join(exists, "b"):                   syscall.ENOTDIR,
		"/proc/b":                                    nil, // ENOENT
		filepath.Join(dir, "no", "b"):                nil,
		filepath.Join(dir, "b"):                      nil,
		exists:                                       nil,
	} {
		if err := CheckName(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	for _, path := range []string{strings.Repeat("x", 252) + ".mkv", strings.Repeat("x", 240) + "%F%H%M%S/a.mkv", "%F/" + strings.Repeat("%F", 26) + ".mkv"} {
		if _, err := New(Options{Path: filepath.Join(dir, path)}); !errors.Is(err, syscall.ENAMETOOLONG) {
			t.Errorf("%s: %v, want %v", path, err, syscall.ENAMETOOLONG)
		}
	}
	if got := files(t, dir); !slices.Equal(got, []string{"a", "loop"}) {
		t.Errorf("left behind: %q", got)
	}
}

// TestForceFollowsNoLink: what a link leads to is neither overwritten nor emptied.
func TestForceFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "a.mkv")
	if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Path: link, Force: true}); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("New: %v", err)
	}
	if _, err := container.Create(link, container.Options{Format: yuyv, Force: true}); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("Create: %v", err)
	}
	if b, err := os.ReadFile(target); string(b) != "precious" {
		t.Errorf("the target holds %q, %v", b, err)
	}
}
