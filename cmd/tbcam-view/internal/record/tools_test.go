package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/at-wat/ebml-go"

	"github.com/tbcam/tbcam/capture"
)

// TestMain is also the program that TestKilled kills. After the tests nothing of
// a recorder may be left.
func TestMain(m *testing.M) {
	if path := os.Getenv(killedFile); path != "" {
		recordUntilKilled(path)
	}
	code := m.Run()
	if left := leftovers(); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "left after the tests:", left)
		code = 1
	}
	os.Exit(code)
}

func leftovers() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if bytes.Contains(stacks, []byte("record.(*Recorder).run")) {
		return string(stacks)
	}
	return openFile(".mkv")
}

// openFile returns the file that this process has open and whose path has that
// in it, if there is one.
func openFile(part string) string {
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if file, err := os.Readlink(fd); err == nil && strings.Contains(file, part) {
			return file
		}
	}
	return ""
}

// tool runs a program that has to be there, and to succeed, and returns what it
// printed.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v; remedy: make deps", err)
	}
	var errors bytes.Buffer
	c := exec.Command(name, args...)
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c, err, &errors)
	}
	return string(out)
}

// probed is what ffprobe says of a file.
type probed struct {
	Packets []packet `json:"packets"`
	Streams []struct {
		Codec  string `json:"codec_name"`
		Pixel  string `json:"pix_fmt"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Range  string `json:"color_range"`
		Matrix string `json:"color_space"`
	} `json:"streams"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

// packet is a picture as it lies in a file.
type packet struct {
	At   int64  `json:"pts"`       // ms
	Hash string `json:"data_hash"` // see hashOf
}

func hashOf(data []byte) string { return fmt.Sprintf("SHA256:%x", sha256.Sum256(data)) }

func probe(t testing.TB, path string) (p probed) {
	t.Helper()
	out := tool(t, "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format",
		"-show_packets", "-show_data_hash", "sha256", path)
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// wantPackets fails the test unless exactly these pictures are in the file.
func wantPackets(t testing.TB, path string, want []packet) {
	t.Helper()
	got := probe(t, path).Packets
	if len(got) != len(want) {
		t.Fatalf("%d frames in %s, want %d", len(got), filepath.Base(path), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("frame %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// parsed is a file as ebml-go reads it.
type parsed struct {
	Segment struct {
		Info    struct{ Duration float64 }
		Cluster []struct{ Timecode uint64 }
		Cues    *struct{ CuePoint []struct{ CueTime uint64 } }
	}
}

// parse returns also the data of the Segment, which is all up to the file's end.
func parse(t testing.TB, path string) (p parsed, data []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := ebml.Unmarshal(bytes.NewReader(raw), &p, ebml.WithIgnoreUnknown(true)); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(raw, ebml.ElementSegment.Bytes()) + 4 // its size
	data = raw[at+8:]
	if size := binary.BigEndian.Uint64(raw[at:]); size != 1<<56|uint64(len(data)) {
		t.Errorf("the Segment has size %#x, want %d", size, len(data))
	}
	return p, data
}

// film makes frames for a test and knows what has to be in the file.
type film struct {
	pool   capture.Pool
	format capture.Format
	start  time.Time
	want   []packet
}

func newFilm(format capture.Format) *film { return &film{format: format, start: time.Now()} }

var (
	mjpeg = capture.Format{Pixel: capture.MJPEG, Width: 320, Height: 240, Range: capture.Full}
	yuyv  = capture.Format{Pixel: capture.YUYV, Width: 160, Height: 120}
)

// frame returns the next frame, captured so long after the first one.
func (f *film) frame(after time.Duration) *capture.Frame {
	data := picture(f.format, len(f.want))
	frame := f.pool.Get(len(data))
	copy(frame.Data, data)
	frame.Format = f.format
	frame.Time = f.start.Add(after)
	f.want = append(f.want, packet{after.Round(time.Millisecond).Milliseconds(), hashOf(data)})
	return frame
}

// roll writes n frames at 30 fps.
func (f *film) roll(t testing.TB, r *Recorder, n int) {
	t.Helper()
	for range n {
		if err := r.Write(f.frame(time.Duration(len(f.want)) * time.Second / 30)); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *film) allReleased(t testing.TB) {
	t.Helper()
	if n := f.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
}

// picture returns the i-th picture of a format; each is different.
func picture(f capture.Format, i int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(i)))
	if f.Pixel.Compressed() {
		return jpegPicture(f, random)
	}
	data := make([]byte, f.Size())
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

func jpegPicture(f capture.Format, random *rand.Rand) []byte {
	img := image.NewYCbCr(image.Rect(0, 0, f.Width, f.Height), image.YCbCrSubsampleRatio420)
	shift := random.IntN(256)
	for i := range img.Y {
		img.Y[i] = byte(i%img.YStride + i/img.YStride + shift)
	}
	fill := color.YCbCr{Cb: byte(random.IntN(256)), Cr: byte(random.IntN(256))}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = fill.Cb, fill.Cr
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// logged returns a logger and what it wrote.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

func start(t testing.TB, path string, o Options) *Recorder {
	t.Helper()
	r, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// closed ends a recording that has to be without errors.
func closed(t testing.TB, r *Recorder) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if file := openFile(filepath.Dir(r.path)); file != "" {
		t.Errorf("%s is still open", file)
	}
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}

// smallDisk returns a folder with room for files of size bytes, and what the
// system says when there is more: a file system of its own or, where mounting is
// not permitted, a limit on files.
func smallDisk(t *testing.T, size uint64) (dir string, full syscall.Errno) {
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		limitFiles(t, size)
		return dir, syscall.EFBIG
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir, syscall.ENOSPC
}

// limitFiles limits the size of files until the end of the test. The limit is
// one of the process, so such a test is not a parallel one.
func limitFiles(t *testing.T, size uint64) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	})
}

// files returns the names in a folder.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
