package mjpeg

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

// patience is how long a player may take for what it must do.
const patience = 30 * time.Second

// counter counts what a player writes.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	return len(p), nil
}

func (c *counter) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestPlayersShowEachFrameAtOnce: the kernel's recipe and FFmpeg show each
// frame before the next one is written; plain files they show one late. (With
// -fflags nobuffer ffmpeg loses the first frame.)
func TestPlayersShowEachFrameAtOnce(t *testing.T) {
	const size, frames = 64, 20
	for name, player := range map[string]string{
		"ffmpeg":    "ffmpeg -v error -threads 1 -f mjpeg -probesize 20000 -analyzeduration 0 -i STREAM -threads 1 -fps_mode passthrough -f rawvideo -pix_fmt gray -flush_packets 1 -",
		"gstreamer": "gst-launch-1.0 -q filesrc location=STREAM ! jpegdec ! video/x-raw,format=GRAY8 ! fdsink fd=1 sync=false",
	} {
		t.Run(name, func(t *testing.T) {
			fifo := filepath.Join(t.TempDir(), "stream")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			var shown counter
			var errors bytes.Buffer
			words := strings.Fields(strings.ReplaceAll(player, "STREAM", fifo))
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Stdout, cmd.Stderr = &shown, &errors
			if err := cmd.Start(); err != nil {
				t.Fatalf("%v; install it with `make deps`", err)
			}
			stream, err := os.OpenFile(fifo, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			w := NewWriter(into(stream))
			for n := 1; n <= frames; n++ {
				if err := w.Write(jpegsamples.Noise(size, uint64(n))); err != nil {
					t.Fatalf("%v: %s", err, &errors)
				}
				// A player may want some frames before it shows any.
				if n > frames/2 {
					waitFor(t, &shown, n*size*size)
				}
			}
			stream.Close()
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, &errors)
			}
			if shown.bytes() != frames*size*size {
				t.Errorf("%d bytes were shown, want %d frames of %d", shown.bytes(), frames, size*size)
			}
		})
	}
}

func waitFor(t *testing.T, shown *counter, want int) {
	t.Helper()
	for end := time.Now().Add(patience); shown.bytes() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are shown, %d are written", shown.bytes(), want)
		}
	}
}
