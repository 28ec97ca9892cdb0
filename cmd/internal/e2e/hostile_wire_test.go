package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// greyMode describes frames of 64 x 64 bytes.
var greyMode = transport.Mode{
	Number: 1, Camera: "hostile",
	Source: capture.Mode{Pixel: capture.GREY, Width: 64, Height: 64, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.GREY, Width: 64, Height: 64, Range: capture.Full},
}

// offer begins a session with a viewer, as a sender.
func offer(t *testing.T, path string) *hostile.Peer {
	t.Helper()
	p := hostile.Dial(t, path)
	if err := p.OpenSession(); err != nil {
		t.Fatal(err)
	}
	return p
}

// accept begins a session with a sender, as a viewer.
func accept(t *testing.T, l *hostile.Listener) *hostile.Peer {
	t.Helper()
	p := l.Accept()
	if err := p.AcceptSession(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A sender that violates the protocol costs its session: the viewer takes the next.
func TestHostileSender(t *testing.T) {
	flag, path := socket(t)
	v := viewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"), "--frames=2")
	p := offer(t, path)
	if err := p.WriteMessage(wire.Mode, transport.VideoStream, map[string]any{"number": 1, "format": map[string]any{"format": "grey", "width": 1 << 40, "height": 1}}); err != nil {
		t.Fatal(err)
	}
	p.Drain()
	v.says("is outside")
	p = offer(t, path)
	if err := p.WriteMessage(wire.Mode, transport.VideoStream, greyMode); err != nil {
		t.Fatal(err)
	}
	for index := range uint64(2) {
		head := wire.FrameHeader{Index: index, Sequence: uint32(index), Mode: 1, Captured: p.Now()}
		if err := p.WriteFrame(head, make([]byte, 64*64)); err != nil {
			t.Fatal(err)
		}
	}
	p.Drain()
	if code := v.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A viewer that violates the protocol costs its session: the sender offers the next.
func TestHostileViewer(t *testing.T) {
	flag, path := socket(t)
	l := hostile.Listen(t, path)
	s := sender(t, flag)
	p := accept(t, l)
	if err := p.WriteVideo(wire.Start, []byte("go")); err != nil {
		t.Fatal(err)
	}
	p.Drain()
	s.says("read start: invalid character")
	p = accept(t, l)
	if err := p.WriteMessage(wire.Start, transport.VideoStream, map[string]any{"number": 1}); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteVideo(wire.Credit, wire.AppendCredit(nil, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(wire.Frame); err != nil {
		t.Fatal(err)
	}
	if peak := hostile.PeakMemory(t, s.Process.Pid); peak > 300*hostile.MiB {
		t.Errorf("tbcam-send took %d MiB", peak/hostile.MiB)
	}
	if code := s.end(syscall.SIGTERM); code != 0 || strings.Contains(s.stderr.String(), "panic") {
		t.Errorf("exit code %d", code)
	}
}
