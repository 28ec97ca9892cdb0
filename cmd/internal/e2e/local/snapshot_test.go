package local

import (
	"bytes"
	"encoding/binary"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// numberOf returns the number of a film's JPEG.
func numberOf(t *testing.T, data []byte) int {
	t.Helper()
	if len(data) < 8 || !bytes.HasPrefix(data[2:], []byte{0xff, 0xfe, 0, 6}) {
		t.Fatalf("%d bytes are no JPEG of a film", len(data))
	}
	return int(binary.BigEndian.Uint32(data[4+2:]))
}

// taken runs tbcam-view until it has written an image, and returns that.
func taken(t *testing.T, file string, args ...string) []byte {
	t.Helper()
	v := harness.Start(t, nil, "tbcam-view", append(args, "--snapshot="+file)...)
	if code := v.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if file == "-" {
		return []byte(v.Out.String())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSnapshotOfColdCamera: the first frames of a camera are dark. The image is
// a later one, the camera's own bytes, and one of the first where that is asked for.
func TestSnapshotOfColdCamera(t *testing.T) {
	t.Parallel()
	const dark = 20
	for name, c := range map[string]struct {
		args        []string
		first, last int
	}{
		"warm": {nil, dark, dark + 30}, "skip": {[]string{"--skip=3"}, 3, dark - 1}, "frames": {[]string{"--frames=10"}, 1, dark - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flag, path := harness.NewSocket(t)
			f := harness.NewFilm(320, 240, 30)
			f.Dark = dark
			file := filepath.Join(t.TempDir(), "a.JPG")
			v := harness.Start(t, nil, "tbcam-view", append(c.args, flag, "--snapshot="+file)...)
			v.WaitText("waiting")
			f.Show(t, path)
			if code := v.WaitExit(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n := numberOf(t, data)
			if n < c.first || n > c.last {
				t.Errorf("the image is number %d, want %d to %d", n, c.first, c.last)
			}
			if !bytes.Equal(data, f.NewFrame(n, f.Begin).Data) {
				t.Error("it is not the JPEG that was sent")
			}
		})
	}
}

// modeOf returns the mode of a file, or of a link.
func modeOf(t *testing.T, file string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// TestSnapshotForms: the name selects the format. It is read by its owner
// alone, a link is replaced and not followed, and what is overwritten keeps its mode.
func TestSnapshotForms(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	harness.NewFilm(320, 240, 30).Show(t, path)
	dir := t.TempDir()
	if b, err := png.Decode(bytes.NewReader(taken(t, dir+"/a.png", flag))); err != nil || b.Bounds().Dx() != 320 || modeOf(t, dir+"/a.png") != 0o600 {
		t.Errorf("%v, mode %v", err, modeOf(t, dir+"/a.png"))
	}
	if _, err := png.Decode(bytes.NewReader(taken(t, "-", flag, "--stats=json"))); err != nil {
		t.Errorf("standard output: %v", err)
	}
	for _, c := range []struct {
		from string
		args []string
		want string
	}{
		{"camera", nil, "320,240"}, {"camera turned", []string{"--rotate=90"}, "240,320"},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(c.from, " ", "-")+".jpeg")
		taken(t, file, append(c.args, flag)...)
		got := harness.RunTool(t, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=width,height", file)
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%s: %s, want %s", c.from, got, c.want)
		}
	}
}

// TestSnapshotOverLink: --force replaces a link and not its target, and keeps the mode
// of a file.
func TestSnapshotOverLink(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	harness.NewFilm(320, 240, 30).Show(t, path)
	dir := t.TempDir()
	target, link := dir+"/target", dir+"/b.png"
	if err := os.WriteFile(target, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	taken(t, link, flag, "--force")
	if b, err := os.ReadFile(target); string(b) != "precious" || modeOf(t, link) != 0o600 {
		t.Errorf("the target of a link holds %d bytes, %v; the image has mode %v", len(b), err, modeOf(t, link))
	}
	if err := os.Chmod(link, 0o640); err != nil {
		t.Fatal(err)
	}
	taken(t, link, flag, "--force")
	if modeOf(t, link) != 0o640 {
		t.Errorf("what was overwritten had mode 0640, and has %v", modeOf(t, link))
	}
}

// TestSnapshotOfRawVideo as JPEG is made here.
func TestSnapshotOfRawVideo(t *testing.T) {
	t.Parallel()
	flag, _ := harness.NewSocket(t)
	harness.StartSender(t, flag, "--codec=raw")
	data := taken(t, filepath.Join(t.TempDir(), "a.jpg"), flag)
	if !bytes.HasPrefix(data, []byte{0xff, 0xd8, 0xff}) {
		t.Errorf("the file begins with % x", data[:min(4, len(data))])
	}
}
