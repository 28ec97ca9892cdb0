package unixsock

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/logbuffer"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
)

// patience is how long real time may take on a busy machine. How long it should
// take is tested in virtual time.
const patience = 10 * time.Second

// checkLeaks fails the test if goroutines are left over at its end. They are
// given time: a goroutine that has done all is not gone yet.
func checkLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 200 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines are left over:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
	})
}

// world is a sender and a viewer on a Unix socket.
type world struct {
	*testing.T
	path             string
	producer         *transporttest.Producer
	consumer         *transporttest.Consumer
	sender           *transport.Sender
	receiver         *transport.Receiver
	stream           *transport.ReceiverStream
	pool             capture.Pool
	sending, viewing *program
	log              logbuffer.Buffer
}

// program is a Run that goes on.
type program struct {
	cancel context.CancelFunc
	done   chan error
}

func start(run func(context.Context) error) *program {
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{cancel, make(chan error, 1)}
	go func() { p.done <- run(ctx) }()
	return p
}

// end ends the program, and returns Run's error.
func (p *program) end() error {
	p.cancel()
	return <-p.done
}

// stop ends a program that should not fail by itself.
func (w *world) stop(p *program) {
	if p == nil {
		return
	}
	if err := p.end(); err != nil {
		w.Errorf("Run: %v", err)
	}
}

// waitForFrames waits until that many more frames came.
func (w *world) waitForFrames(more int) {
	w.Helper()
	enough := w.consumer.Frames() + more
	for begun := time.Now(); w.consumer.Frames() < enough; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			w.Fatalf("%d frames within %v, want %d; log:\n%v", w.consumer.Frames(), patience, enough, w.log.String())
		}
	}
}

// onSocket returns a world. Nothing listens yet.
func onSocket(t *testing.T) (w *world, path string) {
	checkLeaks(t)
	w = &world{T: t, path: filepath.Join(t.TempDir(), "tbcam.sock"), producer: &transporttest.Producer{Period: 5 * time.Millisecond}}
	w.consumer = &transporttest.Consumer{T: t, Producer: w.producer}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.sender = &transport.Sender{Link: &Dialer{Path: w.path, Log: log}, Catalogue: &transport.Single{Producer: w.producer}, Log: log}
	w.receiver = &transport.Receiver{Pool: &w.pool, Log: log}
	var err error
	if w.stream, err = w.receiver.Open(w.consumer, transport.Policy{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.stop(w.viewing)
		w.stop(w.sending)
		w.producer.Stop()
		if n, m := w.producer.Pool.Outstanding(), w.pool.Outstanding(); n+m != 0 {
			t.Errorf("%d frames of the sender and %d of the viewer were not released", n, m)
		}
	})
	return w, w.path
}

// listen starts the viewer, and returns how to kill it: no goodbye, and the
// socket is left behind.
func (w *world) listen(path string) (kill func()) {
	w.Helper()
	l, err := Listen(path, nil, nil)
	if err != nil {
		w.Fatal(err)
	}
	last := &lastConn{Link: l}
	w.receiver.Link = last
	w.viewing = start(w.receiver.Run)
	return func() {
		l.listener.Close()
		last.conn.Close()
		w.viewing.end()
		w.viewing = nil
	}
}

// lastConn remembers the last connection of a Link.
type lastConn struct {
	transport.Link
	conn transport.Conn
}

func (l *lastConn) Open(ctx context.Context) (transport.Conn, error) {
	conn, err := l.Link.Open(ctx)
	if err == nil {
		l.conn = conn
	}
	return conn, err
}

func TestUnixEitherOrder(t *testing.T) {
	for _, first := range []string{"sender", "viewer"} {
		t.Run(first, func(t *testing.T) {
			w, path := onSocket(t)
			w.stream.Start(capture.Want{})
			if first == "sender" {
				w.sending = start(w.sender.Run)
				time.Sleep(3 * redial)
				w.listen(path)
			} else {
				w.listen(path)
				w.sending = start(w.sender.Run)
			}
			w.waitForFrames(50)
			if logged := strings.Contains(w.log.String(), "waiting for a viewer"); logged != (first == "sender") {
				t.Errorf("log: %v", w.log.String())
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != fs.ModeSocket|0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			w.stop(w.viewing)
			w.viewing = nil
			if err := w.receiver.Link.Close(); err != nil {
				t.Error(err)
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); len(entries) != 0 || err != nil {
				t.Errorf("left over: %v, %v", entries, err)
			}
		})
	}
}

func TestUnixReconnect(t *testing.T) {
	w, path := onSocket(t)
	w.stream.Start(capture.Want{})
	w.sending = start(w.sender.Run)
	for range 3 {
		kill := w.listen(path)
		w.waitForFrames(10)
		kill()
		time.Sleep(3 * redial)
	}
	w.listen(path)
	w.waitForFrames(10)
	for range 3 {
		w.stop(w.sending)
		w.sending = start(w.sender.Run)
		w.waitForFrames(10)
	}
	if err := w.receiver.Link.Close(); err != nil {
		t.Error(err)
	}
}

// What a socket that nobody listened to gathered is passed over at once.
func TestUnixBacklog(t *testing.T) {
	w, path := onSocket(t)
	w.listen(path)
	for range 100 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	w.stream.Start(capture.Want{})
	w.sending = start(w.sender.Run)
	w.waitForFrames(1)
	if s := w.receiver.Stats(); s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
	if err := w.receiver.Link.Close(); err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	checkLeaks(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }

	live, err := Listen(at("live"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("stale"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := os.WriteFile(at("file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("live"), at("link")); err != nil {
		t.Fatal(err)
	}

	for name, why := range map[string]string{
		"live":                   "another program listens there",
		"file":                   "is not a socket",
		"link":                   "is not a socket",
		".":                      "is not a socket",
		"no/such/dir":            "no such file or directory",
		strings.Repeat("x", 200): "bytes, at most 99",
		"stale":                  "",
		"new":                    "",
	} {
		l, err := Listen(at(name), nil, nil)
		switch {
		case why == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case why != "" && (err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: got %v, want %q", name, err, why)
		}
		if err == nil {
			if l.String() != "unix:"+at(name) || l.Properties() != (transport.Properties{}) {
				t.Errorf("%v", l)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestUnixOpenEnds(t *testing.T) {
	checkLeaks(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again, after its context has ended
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if conn, err := l.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", conn, err)
		}
		cancel()
	}
	if err := errors.Join(os.Remove(path), l.Close()); err != nil {
		t.Errorf("the socket was removed before: %v", err)
	}
	if _, err := l.Open(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}

	d := &Dialer{Path: path}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if conn, err := d.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", conn, err)
	}
	d.Path = strings.Repeat("x", 100)
	if _, err := d.Open(ctx); err == nil || !strings.Contains(err.Error(), "bytes, at most 99") {
		t.Errorf("got %v", err)
	}
	d.Path = filepath.Join(path, "below a file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(context.Background()); err == nil || !strings.HasPrefix(err.Error(), "open stream unix:") {
		t.Errorf("got %v", err)
	}
}
