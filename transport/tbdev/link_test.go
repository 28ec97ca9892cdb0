package tbdev

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/fixtures/pty"
	"github.com/tbcam/tbcam/transport"
)

func device(path string) *Link {
	return &Link{Resolve: func() (string, error) { return path, nil }, Log: slog.New(slog.DiscardHandler)}
}

func opened(t *testing.T, l *Link) transport.Conn {
	t.Helper()
	c, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); l.Close() })
	return c
}

func TestBytesCross(t *testing.T) {
	a, b, _ := pty.Pair(t)
	from, to := opened(t, device(a)), opened(t, device(b))
	sent := make([]byte, 300<<10) // more than a pseudoterminal holds
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	go func() {
		if err := from.WriteBuffers([][]byte{sent[:32], nil, sent[32:104], sent[104:]}); err != nil {
			t.Error(err)
		}
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Error("other bytes came than were sent")
	}
}

func TestCloseWakes(t *testing.T) {
	for name, use := range map[string]func(transport.Conn) error{
		"read": func(c transport.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c transport.Conn) error {
			for { // until nothing fits any more
				if err := c.WriteBuffers([][]byte{make([]byte, 1<<20)}); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := pty.Pair(t)
			before := descriptors(t)
			l := device(a)
			c := opened(t, l)
			used := make(chan error)
			go func() { used <- use(c) }()
			c.Close()
			c.Close()
			if err := <-used; !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("it ended with %v, want %v", err, io.ErrClosedPipe)
			}
			l.Close()
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors are open, %d were before", after, before)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func TestHangUpEndsRead(t *testing.T) {
	a, _, cut := pty.Pair(t)
	c := opened(t, device(a))
	used := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); used <- err }()
	cut()
	if err := <-used; err == nil {
		t.Error("Read went on after the device was gone")
	}
}

func TestOneProcessPerDevice(t *testing.T) {
	a, _, _ := pty.Pair(t)
	first := device(a)
	c := opened(t, first)
	_, err := device(a).Open(t.Context())
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process") {
		t.Errorf("the second opening gives %v, want %v with the process", err, ErrLocked)
	}
	c.Close()
	first.Close()
	opened(t, device(a))
}

func TestOpenWaitsAndEnds(t *testing.T) {
	l := &Link{
		Resolve: func() (string, error) { return "", unix.ENXIO },
		Log:     slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open ended with %v", err)
	}
}

func TestDiagnose(t *testing.T) {
	for _, c := range []struct {
		err     error
		curable bool
		message string
	}{
		{unix.ENXIO, true, "unplugged"},
		{unix.EIO, true, "unplugged"},
		{unix.EINVAL, true, "not set the stream up"},
		{unix.ENOMEM, true, "DMA ring"},
		{unix.EACCES, false, "permission"},
		{ErrLocked, false, "another process"},
	} {
		why, curable := diagnoseOpen(c.err)
		if curable != c.curable || !strings.Contains(why, c.message) {
			t.Errorf("%v: %q, curable %v; want %q, %v", c.err, why, curable, c.message, c.curable)
		}
	}
}
