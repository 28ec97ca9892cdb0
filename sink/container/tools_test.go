package container

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

var (
	jpegs  = capture.Format{Pixel: capture.MJPEG, Width: 160, Height: 120, Range: capture.Full}
	origin = Tags{
		Camera: "HD Webcam", Host: "laptop", Mode: "mjpeg 160x120 30 fps", Program: "tbcam test",
		Start: time.Date(2026, 7, 1, 12, 0, 0, 250_000_000, time.FixedZone("", 7200)),
	}
)

// tool runs a program that has to be there, to succeed, and to complain about
// nothing, and returns what it printed.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v; remedy: make deps", err)
	}
	var complaints bytes.Buffer
	c := exec.Command(name, args...)
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%v: %v\n%s", c, err, &complaints)
	}
	return string(out)
}

// packet is a frame as it lies in a file.
type packet struct {
	At   int64  // µs
	Hash string // SHA-256
}

func hashOf(data []byte) string { return fmt.Sprintf("SHA256:%x", sha256.Sum256(data)) }

// probed is what ffprobe reports of a file.
type probed struct {
	Packets []struct {
		At   int64  `json:"pts"`
		Hash string `json:"data_hash"`
	} `json:"packets"`
	Streams []struct {
		Codec  string `json:"codec_name"`
		Pixel  string `json:"pix_fmt"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Range  string `json:"color_range"`
		Matrix string `json:"color_space"`
		Field  string `json:"field_order"`
		Base   string `json:"time_base"`
		Frames string `json:"nb_frames"`
	} `json:"streams"`
	Chapters []struct {
		Start string            `json:"start_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

// probe asks ffprobe, which must not warn.
func probe(t testing.TB, kind Kind, path string) (p probed) {
	t.Helper()
	args := []string{"-v", "warning", "-of", "json", "-show_streams", "-show_format", "-show_chapters",
		"-show_packets", "-show_data_hash", "sha256"}
	out := tool(t, "ffprobe", append(args, input(kind, path)...)...)
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// sampleJPEG is a frame of the format that jpegs has.
var sampleJPEG = sync.OnceValue(func() []byte {
	data, err := os.ReadFile("../../fixtures/jpeg/good-420.jpg")
	if err != nil {
		panic(err)
	}
	return data
})

// sampleFrame returns the i-th frame of a format; each is different. JPEGs differ
// by a comment.
func sampleFrame(f capture.Format, i int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(i)))
	if !f.Pixel.Compressed() {
		return randomBytes(random, f.Size())
	}
	const app0 = 20 // where it ends
	text := randomBytes(random, 8+random.IntN(300))
	comment := append([]byte{0xFF, 0xFE, 0, 0}, text...)
	binary.BigEndian.PutUint16(comment[2:], uint16(len(text)+2))
	return slices.Concat(sampleJPEG()[:app0], comment, sampleJPEG()[app0:])
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// film writes frames and knows what has to be in the file.
type film struct {
	Writer
	t      testing.TB
	pool   capture.Pool
	format capture.Format
	path   string
	want   []packet
}

func options(kind Kind, format capture.Format) Options {
	return Options{Kind: kind, Format: format, Rate: capture.Rate{Num: 30, Den: 1}, Tags: origin}
}

// shoot begins a recording of a kind in a folder of its own.
func shoot(t testing.TB, kind Kind, format capture.Format) *film {
	t.Helper()
	return shootWith(t, options(kind, format))
}

func shootWith(t testing.TB, o Options) *film {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a."+o.Kind.String())
	w, err := Create(name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &film{Writer: w, t: t, format: o.Format, path: name}
}

// add writes the next frame, of a time since the first one.
func (f *film) add(at time.Duration) {
	f.t.Helper()
	data := sampleFrame(f.format, len(f.want))
	frame := f.pool.Get(len(data))
	defer frame.Release()
	copy(frame.Data, data)
	frame.Format = f.format
	if err := f.Write(frame, at); err != nil {
		f.t.Fatal(err)
	}
	f.want = append(f.want, packet{at.Microseconds(), hashOf(data)})
}

func (f *film) close() {
	f.t.Helper()
	if err := f.Close(); err != nil {
		f.t.Fatal(err)
	}
	if file := openFile(filepath.Dir(f.path)); file != "" {
		f.t.Errorf("%s is still open", file)
	}
}

// openFile returns the file that this process has open and whose path has that
// in it, if there is one.
func openFile(part string) string {
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if file, err := os.Readlink(fd); err == nil && len(part) > 0 && bytes.Contains([]byte(file), []byte(part)) {
			return file
		}
	}
	return ""
}
