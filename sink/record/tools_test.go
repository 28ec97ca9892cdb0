package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/logbuffer"
	"github.com/tbcam/tbcam/sink/container"
)

// TestMain ends with nothing of a recorder left.
func TestMain(m *testing.M) {
	code := m.Run()
	// A goroutine that has let Close return may still be on its way out.
	stacks := findRecorders()
	for range 100 {
		if stacks == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
		stacks = findRecorders()
	}
	if stacks != nil && code == 0 {
		fmt.Fprintf(os.Stderr, "left after the tests: %s\n", stacks)
		code = 1
	}
	os.Exit(code)
}

// findRecorders returns the stacks of all goroutines, if a recorder's is among them.
func findRecorders() []byte {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if !bytes.Contains(stacks, []byte("record.(*Recorder).run")) {
		return nil
	}
	return stacks
}

var (
	yuyv = capture.Format{Pixel: capture.YUYV, Width: 32, Height: 16}
	uyvy = capture.Format{Pixel: capture.UYVY, Width: 32, Height: 16}
)

// film makes frames for a test and knows what has to be in the files.
type film struct {
	pool   capture.Pool
	format capture.Format
	size   int // bytes of a frame
	start  time.Time
	shown  int
	blocks int // of audio that came
}

func newFilm(format capture.Format) *film {
	return &film{format: format, size: format.Size(), start: time.Now()}
}

// frame returns the next frame, captured that long after the first one.
func (f *film) frame(after time.Duration) *capture.Frame {
	frame := f.pool.Get(f.size)
	copy(frame.Data, frameBytes(f.shown, f.size))
	frame.Format, frame.Sequence, frame.Time = f.format, uint32(f.shown), f.start.Add(after)
	f.shown++
	return frame
}

// frameBytes returns the bytes of a frame by its number.
func frameBytes(number, size int) []byte {
	data := make([]byte, size)
	random := rand.New(rand.NewPCG(1, uint64(number)))
	for i := range min(size, 64) {
		data[i] = byte(random.Uint32())
	}
	return data
}

func hashOf(number, size int) string {
	return fmt.Sprintf("SHA256:%x", sha256.Sum256(frameBytes(number, size)))
}

// roll records n frames at 30 fps, in step with the clock.
func (f *film) roll(t testing.TB, r *Recorder, n int) {
	t.Helper()
	for range n {
		if err := r.Write(f.frame(time.Since(f.start)), Gap{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 30)
	}
}

// packet is a frame as it lies in a file.
type packet struct {
	At   int64  `json:"pts"` // ms in Matroska
	Hash string `json:"data_hash"`
}

// probe returns what ffprobe finds in a file.
func probe(t testing.TB, path string) []packet {
	t.Helper()
	c := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_entries", "packet=pts,data_hash", "-show_data_hash", "sha256", path)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%v: %v %s", c, err, &complaints)
	}
	var probed struct{ Packets []packet }
	if err := json.Unmarshal(out, &probed); err != nil {
		t.Fatal(err)
	}
	return probed.Packets
}

// wantFrames fails the test unless the file holds the frames with these numbers.
func wantFrames(t testing.TB, path string, size, first, last int) []packet {
	t.Helper()
	got := probe(t, path)
	if len(got) != last-first+1 {
		t.Fatalf("%s has %d frames, want %d to %d", path, len(got), first, last)
	}
	for i, p := range got {
		if p.Hash != hashOf(first+i, size) {
			t.Fatalf("%s: frame %d is not the one that was given", path, first+i)
		}
	}
	return got
}

// logged is a log whose lines a test reads.
type logged struct{ logbuffer.Buffer }

func (l *logged) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// wantInOrder fails the test unless the log has these parts of lines in order.
func (l *logged) wantInOrder(t testing.TB, parts ...string) {
	t.Helper()
	rest := l.String()
	for _, p := range parts {
		_, after, found := strings.Cut(rest, p)
		if !found {
			t.Fatalf("the log lacks %q (in order):\n%s", p, l.String())
		}
		rest = after
	}
}

// begin starts a recorder whose files are made by create; nil is the real thing.
func begin(t testing.TB, o Options, create func(string, container.Options) (container.Writer, error)) *Recorder {
	t.Helper()
	r, err := newRecorder(o)
	if err != nil {
		t.Fatal(err)
	}
	if create != nil {
		r.create = create
	}
	go r.writeLoop()
	t.Cleanup(func() { r.Close() })
	return r
}

// closed ends a recording that has to be without errors and leaks.
func closed(t testing.TB, r *Recorder, f *film) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	wantReleased(t, r, f)
}

func wantReleased(t testing.TB, r *Recorder, f *film) {
	t.Helper()
	if n := f.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
	if q := r.queue; q.held != 0 || q.rolled != 0 || q.count != 0 {
		t.Errorf("the queue counts %d frames, %d and %d bytes", q.count, q.held, q.rolled)
	}
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if file, err := os.Readlink(fd); err == nil && strings.HasPrefix(file, filepath.Dir(r.names.path)+"/") {
			t.Errorf("%s is still open", file)
		}
	}
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
