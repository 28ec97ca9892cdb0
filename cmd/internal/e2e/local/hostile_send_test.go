package local

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/transport/wire"
)

// inotifies counts the inotify instances of a process.
func inotifies(t *testing.T, pid int) (n int) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(links) == 0 {
		t.Fatalf("descriptors of process %d: %v, %v", pid, links, err)
	}
	for _, link := range links {
		if target, _ := os.Readlink(link); strings.Contains(target, "inotify") {
			n++
		}
	}
	return n
}

// A viewer that floods START, with STOP and a credit between, costs neither memory
// nor watches of /dev, has the camera on without a pause, and does not hold up the
// end, though it does not even read BYE.
func TestFloodOfStarts(t *testing.T) {
	flag, path := harness.NewSocket(t)
	l := hostile.Listen(t, path)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera=pattern")
	p := accept(t, l)
	go p.Drain()
	request := map[string]any{"camera": "pattern", "width": 320, "height": 240}
	write := func(number int, record wire.Type) {
		request["number"] = number
		if err := p.WriteMessage(record, hostile.Stream, request); err != nil {
			t.Fatal(err)
		}
	}
	number := 1
	for begin := time.Now(); time.Since(begin) < 3*time.Second; number += 2 {
		request["fps"] = []int{5, 15, 30, 7}[number%4]
		write(number, wire.Start)
		if err := p.WriteVideo(wire.Credit, wire.AppendCredit(nil, uint64(number))); err != nil {
			t.Fatal(err)
		}
		write(number+1, wire.Stop)
	}
	request["fps"] = 30
	write(number, wire.Start)
	s.WaitText("camera is on")
	text := s.Err.String()
	peak, watches := hostile.PeakMemory(t, s.Process.Pid), inotifies(t, s.Process.Pid)
	t.Logf("%d requests; at most %d MiB, %d watches, %d lines", number, peak/hostile.MiB, watches, strings.Count(text, "\n"))
	if peak > 150*hostile.MiB || watches > 1 || strings.Count(text, "\n") > 60 {
		t.Errorf("got %q", harness.Tail(text))
	}
	begin := time.Now()
	if code := s.Stop(syscall.SIGTERM); code != 0 || time.Since(begin) > 2*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(begin))
	}
}

// TestHostileStreams: a viewer that opens all streams there are, for one camera, has it
// once; and a stream beyond them ends its session and nothing else.
func TestHostileStreams(t *testing.T) {
	flag, path := harness.NewSocket(t)
	l := hostile.Listen(t, path)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera=pattern")
	for range 2 {
		p := accept(t, l)
		for stream := uint16(1); stream <= wire.MaxStreams; stream++ {
			if err := p.WriteMessage(wire.Start, stream, map[string]any{"number": 1, "camera": "pattern"}); err != nil {
				t.Fatal(err)
			}
		}
		states := map[string]int{}
		for _, state := range readStates(t, p) {
			states[state]++
		}
		// It waits where it opened the camera too often.
		if states["running"] != 1 || states["failed busy"]+states["waiting"] != wire.MaxStreams-1 {
			t.Errorf("states %v", states)
		}
		if err := p.WriteMessage(wire.Start, wire.MaxStreams+1, map[string]any{"number": 1}); err != nil {
			t.Fatal(err)
		}
		p.Drain()
		s.WaitText("it sends start in stream 17")
	}
	if peak := hostile.PeakMemory(t, s.Process.Pid); peak > 150*hostile.MiB {
		t.Errorf("at most %d MiB were used", peak/hostile.MiB)
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// readStates returns the state and cause that each stream settles on: the same for two
// seconds.
func readStates(t *testing.T, p *hostile.Peer) map[uint16]string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil && p.Write(wire.Header{Type: wire.Ping}, wire.AppendPing(nil, p.Now())) == nil {
			time.Sleep(200 * time.Millisecond)
		}
	}()
	states := map[uint16]string{}
	for settled := time.Now(); len(states) < wire.MaxStreams || time.Since(settled) < 2*time.Second; {
		h, payload, err := p.ReadRecord()
		if err != nil {
			t.Fatal(err)
		}
		if h.Type != wire.Status {
			continue
		}
		var status struct{ State, Cause string }
		if err := json.Unmarshal(payload, &status); err != nil {
			t.Fatal(err)
		}
		if state := strings.TrimSpace(status.State + " " + status.Cause); states[h.Stream] != state {
			states[h.Stream], settled = state, time.Now()
		}
	}
	return states
}
