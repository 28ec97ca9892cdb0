package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
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
	flag, path := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(t.TempDir(), "a.mkv"), "--frames=2")
	p := offer(t, path)
	if err := p.WriteMessage(wire.Mode, hostile.Stream, map[string]any{"number": 1, "format": map[string]any{"format": "grey", "width": 1 << 40, "height": 1}}); err != nil {
		t.Fatal(err)
	}
	p.Drain()
	v.WaitText("must be 1x1")
	p = offer(t, path)
	if err := p.WriteMessage(wire.Mode, hostile.Stream, greyMode); err != nil {
		t.Fatal(err)
	}
	for index := range uint64(2) {
		head := wire.FrameHeader{Index: index, Sequence: uint32(index), Mode: 1, Captured: p.Now()}
		if err := p.WriteFrame(head, make([]byte, 64*64)); err != nil {
			t.Fatal(err)
		}
	}
	p.Drain()
	if code := v.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A viewer that violates the protocol costs its session: the sender offers the next.
func TestHostileViewer(t *testing.T) {
	flag, path := harness.NewSocket(t)
	l := hostile.Listen(t, path)
	s := harness.StartSender(t, flag)
	p := accept(t, l)
	if err := p.WriteVideo(wire.Start, []byte("go")); err != nil {
		t.Fatal(err)
	}
	p.Drain()
	s.WaitText("read start: invalid character")
	p = accept(t, l)
	if err := p.WriteMessage(wire.Start, hostile.Stream, map[string]any{"number": 1}); err != nil {
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
	if code := s.Stop(syscall.SIGTERM); code != 0 || strings.Contains(s.Err.String(), "panic") {
		t.Errorf("exit code %d", code)
	}
}

// floodTime is how long each flood lasts.
const floodTime = time.Second

// writeUntil writes until the time is over, in as many sessions as that takes, while
// the program's output is read.
func writeUntil(t *testing.T, begin func() *hostile.Peer, write func(p *hostile.Peer, n uint32) error) {
	t.Helper()
	for end := time.Now().Add(floodTime); time.Now().Before(end); {
		p := begin()
		var reading sync.WaitGroup
		reading.Go(p.Drain)
		for n, err := uint32(1), error(nil); err == nil && time.Now().Before(end); n++ {
			err = write(p, n)
		}
		p.Close()
		reading.Wait()
	}
}

// claim is a header of a record of the largest size.
func claim() []byte {
	return wire.AppendHeader(nil, wire.Header{Type: wire.Frame, Stream: hostile.Stream, Session: 7}, make([]byte, wire.MaxPayload))
}

// floods are what a sender may write without end, the n-th time.
func floods() map[string]func(p *hostile.Peer, n uint32) error {
	huge := greyMode
	huge.Format = capture.Format{Pixel: capture.MJPEG, Width: 8192, Height: 8192, Range: capture.Full}
	controls := make([]capture.Control, 1000)
	for i := range controls {
		controls[i] = capture.Control{ID: uint32(i), Name: strings.Repeat("\x1b", 40)}
	}
	claims := bytes.Repeat(claim(), 10_000)
	return map[string]func(p *hostile.Peer, n uint32) error{
		"hello": func(p *hostile.Peer, n uint32) error { return p.Greet() },
		"modes": func(p *hostile.Peer, n uint32) error {
			mode := greyMode
			mode.Number, mode.Format.Width = n, int(1+n%1000)
			if err := p.WaitCredit(uint64(n)); err != nil {
				return err
			}
			head := wire.FrameHeader{Index: uint64(n - 1), Sequence: n, Mode: n, Captured: p.Now()}
			return errors.Join(p.WriteMessage(wire.Mode, hostile.Stream, mode), p.WriteFrame(head, make([]byte, mode.Format.Size())))
		},
		"statuses": func(p *hostile.Peer, n uint32) error {
			status := transport.Status{State: transport.Waiting, Text: fmt.Sprint(n)}
			return p.WriteMessage(wire.Status, hostile.Stream, status)
		},
		"first pieces of 64 MiB": func(p *hostile.Peer, n uint32) error {
			huge.Number = n/1000 + 1
			head := wire.FrameHeader{Mode: huge.Number, Size: transport.MaxFrame - n%1000}
			h := wire.Header{Type: wire.Frame, Flags: wire.First, Stream: hostile.Stream}
			return errors.Join(p.WriteMessage(wire.Mode, hostile.Stream, huge), p.Write(h, head.Append(nil)))
		},
		"controls": func(p *hostile.Peer, n uint32) error {
			return p.WriteMessage(wire.Controls, hostile.Stream, map[string]any{"number": n, "controls": controls})
		},
		"claims of 256 KiB": func(p *hostile.Peer, n uint32) error { return p.WriteRaw(claims) },
	}
}

// Whatever a sender floods a viewer with, its memory stays bounded.
func TestHostileSenderFloods(t *testing.T) {
	flag, path := harness.NewSocket(t)
	dir := t.TempDir()
	v := harness.StartViewer(t, flag, "--record="+filepath.Join(dir, "%H%M%S.mkv"))
	for name, write := range floods() {
		writeUntil(t, func() *hostile.Peer { return offer(t, path) }, write)
		peak := hostile.PeakMemory(t, v.Process.Pid)
		if t.Logf("%s: tbcam-view has taken %d MiB", name, peak/hostile.MiB); peak > 600*hostile.MiB {
			t.Errorf("%s: tbcam-view took %d MiB", name, peak/hostile.MiB)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) == 0 || len(files) > 50 {
		t.Errorf("%d files were recorded, %v", len(files), err)
	}
	if lines := strings.Count(v.Err.String(), "\n"); lines > 5000 {
		t.Errorf("%d lines were logged", lines)
	}
	if code := v.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Whatever a viewer floods a sender with, its memory stays bounded.
func TestHostileViewerFloods(t *testing.T) {
	flag, path := harness.NewSocket(t)
	l := hostile.Listen(t, path)
	s := harness.StartSender(t, flag)
	claims := bytes.Repeat(claim(), 10_000)
	settings := make([]map[string]any, 32)
	for name, write := range map[string]func(p *hostile.Peer, n uint32) error{
		"pings": func(p *hostile.Peer, n uint32) error { return p.WriteVideo(wire.Ping, wire.AppendPing(nil, p.Now())) },
		"probes": func(p *hostile.Peer, n uint32) error {
			return p.Write(wire.Header{Type: wire.Ping}, wire.AppendProbe(nil, p.Now(), wire.MaxPadding))
		},
		"lists": func(p *hostile.Peer, n uint32) error { return p.WriteVideo(wire.List, nil) },
		"requests": func(p *hostile.Peer, n uint32) error {
			return p.WriteMessage([...]wire.Type{wire.Start, wire.Stop}[n/7%2], hostile.Stream, map[string]any{"number": n})
		},
		"settings": func(p *hostile.Peer, n uint32) error {
			for i := range settings {
				settings[i] = map[string]any{"number": n*32 + uint32(i), "id": i, "value": n}
			}
			return p.WriteMessage(wire.Set, hostile.Stream, map[string]any{"set": settings})
		},
		"claims of 256 KiB": func(p *hostile.Peer, n uint32) error { return p.WriteRaw(claims) },
	} {
		writeUntil(t, func() *hostile.Peer { return accept(t, l) }, write)
		peak := hostile.PeakMemory(t, s.Process.Pid)
		if t.Logf("%s: tbcam-send has taken %d MiB", name, peak/hostile.MiB); peak > 300*hostile.MiB {
			t.Errorf("%s: tbcam-send took %d MiB", name, peak/hostile.MiB)
		}
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
