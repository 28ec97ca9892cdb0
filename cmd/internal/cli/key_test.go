package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestStreamNames: all values of --stream that mean one stream have a name in common, and
// those of two peers have none.
func TestStreamNames(t *testing.T) {
	root := t.TempDir()
	t.Setenv(RootVariable, root)
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, service := range []string{"0-1.1", "1-1.1"} {
		write("/sys/bus/thunderbolt/devices/"+service+"/key", "stream\n")
		write("/sys/bus/thunderbolt/devices/"+service[:3]+"/device_name", []string{"laptop", "desk"}[i]+"\n")
		write("/sys/kernel/config/thunderbolt/stream/"+service+"/tbcam/index", []string{"3", "4"}[i]+"\n")
	}
	write("/sys/kernel/config/thunderbolt/stream/0-1.1/second/index", "5\n")
	dir := t.TempDir()
	if err := os.Symlink(dir, dir+"-link"); err != nil {
		t.Fatal(err)
	}
	same := [][]string{
		{"tbcam@0-1.1", "tbcam@laptop", "/dev/tbstream3"},
		{"tbcam@1-1.1", "tbcam@desk", "/dev/tbstream4"},
		{"second", "second@laptop", "/dev/tbstream5"},
		{"unix:" + dir + "/s", "unix:" + dir + "-link/s"},
		{"not-set-up"},
	}
	share := func(a, b string) bool {
		names := StreamNames(b)
		return slices.ContainsFunc(StreamNames(a), func(name string) bool { return slices.Contains(names, name) })
	}
	for i, group := range same {
		for _, other := range same[i:] {
			for _, b := range other {
				if a := group[0]; share(a, b) != slices.Contains(group, b) {
					t.Errorf("%s is %v, %s is %v", a, StreamNames(a), b, StreamNames(b))
				}
			}
		}
	}
}
