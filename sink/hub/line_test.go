package hub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/otheruser"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// process is a viewer with a line of its own, as each process has one.
type process struct {
	*viewer
	line *Line
	end  func()
}

// startProcess starts a viewer on the stream of a socket.
func startProcess(t *testing.T, path string, want capture.Want) *process {
	t.Helper()
	p := &process{viewer: &viewer{renumber: true}, line: newTestLine(path)}
	p.T = t
	p.receiver = &transport.Receiver{Link: p.line, Program: "viewer"}
	h, err := New(p.receiver, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.line.Share(h)
	h.Attached = p.line.Attached
	if err := p.line.Claim(); err != nil {
		t.Fatal(err)
	}
	p.stream = h.Subscribe(p)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.receiver.Run(ctx); err != nil {
			t.Error(err)
		}
		if err := p.line.Close(); err != nil {
			t.Error(err)
		}
	}()
	p.end = func() {
		cancel()
		<-ended
	}
	p.stream.Start(want)
	return p
}

// startSender starts a sender that dials a socket, and returns what ends it.
func startSender(t *testing.T, path string) (end func()) {
	sender := &transport.Sender{Link: &unixsock.Dialer{Path: path}, Catalogue: &farCameras{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func newTestLine(path string) *Line {
	return &Line{
		Names: func() []string { return []string{"unix:" + path} },
		Dial:  func() (transport.Link, error) { return unixsock.Listen(path, nil, nil) },
		Log:   slog.New(slog.DiscardHandler),
	}
}

// await waits for a condition.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting for %s", what)
		}
	}
}

// TestLineIsPassedOn: of several viewers the first one has the line, and when it ends
// another one takes it; all have frames again.
func TestLineIsPassedOn(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "s")
	defer startSender(t, path)()
	var all []*process
	for range 3 {
		all = append(all, startProcess(t, path, capture.Want{}))
	}
	for len(all) > 0 {
		owners := 0
		for _, p := range all {
			before := p.Frames()
			await(t, "frames", func() bool { return p.Frames() > before+5 })
			if !p.line.Attached() {
				owners++
			}
		}
		if owners != 1 {
			t.Errorf("%d of %d have the line", owners, len(all))
		}
		for i, p := range all {
			if !p.line.Attached() {
				p.end()
				all = append(all[:i], all[i+1:]...)
				break
			}
		}
	}
}

// TestCameraStays: who chose no camera has the one that it had when another process takes
// the line, whichever that has.
func TestCameraStays(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "s")
	defer startSender(t, path)()
	has := func(p *process, camera string) {
		t.Helper()
		before := p.Frames()
		await(t, camera, func() bool { return p.Frames() > before+5 && p.mode().Camera == camera })
	}
	owner := startProcess(t, path, capture.Want{})
	has(owner, "Front Camera")
	back := startProcess(t, path, capture.Want{Camera: "Back Camera"})
	has(back, "Back Camera")
	front := startProcess(t, path, capture.Want{})
	has(front, "Front Camera")
	for round := range 4 {
		owner.end()
		has(back, "Back Camera")
		has(front, "Front Camera")
		owner = back
		if front.line.Attached() == back.line.Attached() {
			t.Errorf("round %d: both have the line, or none", round)
		}
		if !front.line.Attached() {
			owner, front = front, startProcess(t, path, capture.Want{Camera: "Front Camera"})
		} else {
			back = startProcess(t, path, capture.Want{Camera: "Back Camera"})
		}
		has(back, "Back Camera")
		has(front, "Front Camera")
	}
	owner.end()
	back.end()
	front.end()
}

// TestNobody: who only attaches is not an owner.
func TestNobody(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	line := newTestLine(filepath.Join(t.TempDir(), "s"))
	line.AttachOnly = true
	if conn, err := line.Open(t.Context()); !errors.Is(err, ErrNobody) {
		t.Errorf("%v, %v", conn, err)
	}
}

// TestNamesOfALine: a name that the line gets later leads to its owner too.
func TestNamesOfALine(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	cable := transporttest.NewCable()
	names := []string{"tbcam"}
	owner := &Line{Names: func() []string { return names }, Dial: func() (transport.Link, error) { return cable.Viewer, nil }, Log: slog.New(slog.DiscardHandler)}
	h, err := New(&transport.Receiver{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	owner.Share(h)
	if err := owner.Claim(); err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	names = []string{"tbcam", "/dev/tbstream0"}
	go cable.Sender.Open(t.Context())
	if _, err := owner.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		other := &Line{Names: func() []string { return []string{name} }, AttachOnly: true, Log: slog.New(slog.DiscardHandler)}
		conn, err := other.Open(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close()
	}
}

// TestStrangersAreRefused: another user reaches no hub, whatever the mode of its directory
// is; and as many connections as this user makes, others are served again after them.
func TestStrangersAreRefused(t *testing.T) {
	path := filepath.Join(otheruser.SharedDir(t), "s")
	h, err := New(&transport.Receiver{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(h)
	defer s.close()
	if err := s.listen(path); err != nil {
		t.Fatal(err)
	}
	otheruser.Do(t, func() {
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			t.Error("another user was let in")
		}
	})
	var conns []net.Conn
	for range 3 * maxClients {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	clients := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.clients
	}
	await(t, "clients", func() bool { return clients() == maxClients })
	for _, conn := range conns {
		conn.Close()
	}
	await(t, "the end of clients that left", func() bool { return clients() == 0 })
}

func TestAddress(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	a, err := addressOf("/dev/tbstream0")
	if err != nil || filepath.Dir(a.socket) != filepath.Join(dir, "tbcam") || len(a.socket)-len(dir) > 60 {
		t.Errorf("%q, %v", a, err)
	}
	if b, _ := addressOf("/dev/tbstream1"); a == b {
		t.Error("two streams have one address")
	}
	lock, err := a.acquire()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.acquire(); !errors.Is(err, errOwned) {
		t.Errorf("a second owner: %v", err)
	}
	lock.Close()
	if lock, err = a.acquire(); err != nil {
		t.Errorf("the next owner: %v", err)
	}
	lock.Close()
	if err := os.Chmod(filepath.Dir(a.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := addressOf("x"); err == nil || !strings.Contains(err.Error(), "not a private directory") {
		t.Errorf("a directory that all may enter: %v", err)
	}
}

// Without XDG_RUNTIME_DIR no hub is in a directory where other users can make one.
func TestPathWithoutRuntimeDir(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("XDG_CACHE_HOME", "/home/me/.cache")
	const nobodys = 4000000001
	if dir, err := parentDir(nobodys); err != nil || dir != "/home/me/.cache" {
		t.Errorf("a user without a session: %q, %v", dir, err)
	}
	if dir, err := parentDir(0); err != nil || dir != "/run" && dir != "/run/user/0" {
		t.Errorf("root: %q, %v", dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if dir, err := parentDir(nobodys); err == nil {
		t.Errorf("a user without a home: %q", dir)
	}
}
