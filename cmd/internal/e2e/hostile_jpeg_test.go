package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/fixtures/jpegbomb"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// hugeMode describes JPEGs of the largest size.
var hugeMode = transport.Mode{
	Number: 1, Camera: "hostile",
	Source: capture.Mode{Pixel: capture.MJPEG, Width: 8192, Height: 8192, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.MJPEG, Width: 8192, Height: 8192, Range: capture.Full},
}

// send sends frames of a mode, as fast as the viewer allows.
func send(t *testing.T, p *hostile.Peer, mode transport.Mode, n int, data []byte) {
	t.Helper()
	if err := p.WriteMessage(wire.Mode, transport.VideoStream, mode); err != nil {
		t.Fatal(err)
	}
	for index := range uint64(n) {
		until(t, "credit", func() bool { return p.Credit() > index })
		head := wire.FrameHeader{Index: index, Sequence: uint32(index), Mode: mode.Number, Captured: p.Now()}
		if err := p.WriteFrame(head, data); err != nil {
			time.Sleep(time.Second)
			t.Fatal(err)
		}
	}
}

// TestHostileJPEGs: whatever a JPEG claims, the programs' memory is bounded, and
// they end in time.
func TestHostileJPEGs(t *testing.T) {
	for name, data := range map[string][]byte{
		"progressive": jpegbomb.Progressive(8192, 8192, 190),
		"padded":      jpegbomb.Flat(8192, 8192, capture.MaxFrame),
	} {
		t.Run(name, func(t *testing.T) {
			display := xvfb.Start(t)
			flag, path := socket(t)
			w := &watched{display: display, program: start(t, []string{"DISPLAY=" + display.Name},
				"tbcam-view", flag, "--window", "--stats=json", "-v", "--record="+filepath.Join(t.TempDir(), "a.mkv"))}
			p := offer(t, path)
			go p.Drain()
			begun := time.Now()
			send(t, p, hugeMode, 10, data)
			child := w.child(t)
			t.Log("sent in", time.Since(begun))
			time.Sleep(3 * time.Second)
			t.Logf("viewer %d MiB, window %d MiB", hostile.PeakMemory(t, w.Process.Pid)>>20, hostile.PeakMemory(t, child)>>20)
			p.Close()
			begun = time.Now()
			code := w.end(syscall.SIGTERM)
			t.Logf("ended with %d in %v", code, time.Since(begun))
			t.Log(w.stderr.String())
			t.Log(w.stdout.String())
		})
	}
}
