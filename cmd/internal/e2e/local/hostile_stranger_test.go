package local

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// attackTime is how long a stranger tries each thing: longer than a program leaves the device
// closed between two sessions.
const attackTime = 2500 * time.Millisecond

// strangerRoom is how much memory a stranger may cost: the greeting's cryptography and the
// garbage collector's slack, but no frame.
const strangerRoom = 40 * hostile.MiB

// randomBytes returns so many.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never returns an error
	return b
}

// attack has strangers at a device try what they can, each for a while, and returns what the
// program wrote meanwhile by type.
func attack(t *testing.T, device string, attempts []attempt) (seen map[wire.Type][]byte) {
	t.Helper()
	seen = map[wire.Type][]byte{}
	for _, a := range attempts {
		p := hostile.OpenDevice(t, device, attackTime)
		done := make(chan int)
		go func() {
			records := 0
			for {
				h, payload, err := p.ReadRecord()
				if err != nil {
					break
				}
				seen[h.Type] = append(seen[h.Type], payload...)
				records++
			}
			done <- records
		}()
		for a.attempt(p) == nil {
		}
		t.Logf("%s: the program wrote %d records", a.name, <-done)
		p.Close()
	}
	clearLine(t, device)
	return seen
}

// clearLine completes the record that a stranger has begun, and reads what the program has written
// since. A pseudoterminal keeps both, where a device that is closed does not.
func clearLine(t *testing.T, device string) {
	t.Helper()
	p := hostile.OpenDevice(t, device, 20*time.Second)
	defer p.Close()
	go p.Drain()
	if err := p.WriteRaw(make([]byte, 2*wire.MaxPayload)); err != nil {
		t.Logf("clear the line: %v", err)
	}
}

// attempt is what a stranger repeats for a while.
type attempt struct {
	name    string
	attempt func(*hostile.Peer) error
}

// strangersMessage is a greeting with a proof that is none.
func strangersMessage(program string) transport.Peer {
	return transport.Peer{
		Program: program, Version: "hostile", Host: "evil", Protocol: [2]int{transport.Protocol, transport.Protocol},
		Features: []string{transport.FeatureControls}, Auth: randomBytes(1500),
	}
}

// wantCheap fails the test if a program has needed more memory than before and what a stranger
// may cost.
func wantCheap(t *testing.T, p *harness.Program, before int64) {
	t.Helper()
	peak := hostile.PeakMemory(t, p.Process.Pid)
	t.Logf("at most %d MiB, %d MiB before", peak/hostile.MiB, before/hostile.MiB)
	if peak > before+strangerRoom {
		t.Errorf("a stranger costs %d MiB", (peak-before)/hostile.MiB)
	}
	if lines := strings.Count(p.Err.String(), "\n"); lines > 60 {
		t.Errorf("%d lines of log: %s", lines, harness.Tail(p.Err.String()))
	}
}

// TestStrangerFloodsViewer: a sender that is not paired costs a viewer neither memory nor a
// recording, whatever it sends; then a proven one is served.
func TestStrangerFloodsViewer(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	viewer := h.view(file, "20")
	viewer.WaitText("waiting for tbcam-send")
	before := hostile.PeakMemory(t, viewer.Process.Pid)
	frame, piece := harness.EncodeNoise(640, 480), randomBytes(wire.MaxPayload)
	seen := attack(t, h.sender, []attempt{
		{"frames without a proof", func(p *hostile.Peer) error {
			if err := p.Greet(); err != nil {
				return err
			}
			if err := p.Write(wire.Header{Type: wire.Auth}, piece[:4064]); err != nil {
				return err
			}
			return p.WriteFrame(wire.FrameHeader{}, frame)
		}},
		{"wrong proofs", func(p *hostile.Peer) error {
			return p.WriteMessage(wire.Hello, 0, strangersMessage("tbcam-send"))
		}},
		{"sealed records", func(p *hostile.Peer) error {
			return p.Write(wire.Header{Type: wire.Frame, Flags: wire.Sealed, Stream: hostile.Stream}, piece)
		}},
		{"plain MJPEG", func(p *hostile.Peer) error { return p.WriteRaw(frame) }},
		{"noise", func(p *hostile.Peer) error { return p.WriteRaw(piece) }},
	})
	for kind := range seen {
		if kind != wire.Welcome && kind != wire.Ping && kind != wire.Bye && kind != wire.ByeAck {
			t.Errorf("it sends a stranger %v", kind)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("something was recorded")
	}
	wantCheap(t, viewer, before)
	harness.Start(t, []string{"XDG_STATE_HOME=" + h.viewerState}, "tbcam-send", append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--stream="+h.sender)...)
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("exit code %d with a proven sender", code)
	}
}

// TestStrangerFloodsSender: a viewer that is not paired turns no camera on, learns neither the
// host's name nor its cameras, and costs no memory, whatever it sends; the sender goes on.
func TestStrangerFloodsSender(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	sender := harness.Start(t, []string{"XDG_STATE_HOME=" + h.senderState}, "tbcam-send", append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--stream="+h.sender)...)
	sender.WaitText("offering")
	before := hostile.PeakMemory(t, sender.Process.Pid)
	request, piece := map[string]any{"number": 1, "camera": "pattern"}, randomBytes(wire.MaxPayload)
	seen := attack(t, h.viewer, []attempt{
		{"requests without a proof", func(p *hostile.Peer) error {
			for _, attempt := range []error{
				p.WriteMessage(wire.Start, hostile.Stream, request), p.WriteVideo(wire.Credit, wire.AppendCredit(nil, 1000)),
				p.Write(wire.Header{Type: wire.List}, nil), p.WriteMessage(wire.Set, hostile.Stream, map[string]any{"number": 1, "id": 1}),
			} {
				if attempt != nil {
					return attempt
				}
			}
			return p.Write(wire.Header{Type: wire.Ping}, wire.AppendPing(nil, p.Now()))
		}},
		{"wrong proofs", func(p *hostile.Peer) error {
			return p.WriteMessage(wire.Welcome, 0, strangersMessage("tbcam-view"))
		}},
		{"sealed records", func(p *hostile.Peer) error {
			return p.Write(wire.Header{Type: wire.Start, Flags: wire.Sealed, Stream: hostile.Stream}, piece)
		}},
		{"noise", func(p *hostile.Peer) error { return p.WriteRaw(piece) }},
	})
	for kind := range seen {
		if kind != wire.Hello && kind != wire.Pong && kind != wire.Auth && kind != wire.Bye && kind != wire.ByeAck {
			t.Errorf("it sends a stranger %v", kind)
		}
	}
	if host, err := os.Hostname(); err != nil || bytes.Contains(seen[wire.Hello], []byte(`"`+host)) || len(seen[wire.Hello]) == 0 {
		t.Errorf("a stranger reads %q", seen[wire.Hello])
	}
	if strings.Contains(sender.Err.String(), "camera is on") {
		t.Error("a stranger has turned the camera on")
	}
	wantCheap(t, sender, before)
	if _, err := hostile.OpenDevice(t, h.viewer, 20*time.Second).Read(wire.Hello); err != nil {
		t.Errorf("it greets nobody any more: %v", err)
	}
}
