package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// socketPair returns the two ends of a Unix socket.
func socketPair(t testing.TB) (a, b *socketConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a, b = NewConn(dialled).(*socketConn), NewConn(accepted).(*socketConn)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestSocketCarriesAll: buffers of any sizes, also empty ones and more than the socket
// holds, arrive whole and in order.
func TestSocketCarriesAll(t *testing.T) {
	a, b := socketPair(t)
	var want []byte
	var calls [][][]byte
	for i := range 40 {
		var bufs [][]byte
		for k := range i % 4 {
			buf := bytes.Repeat([]byte{byte(i), byte(k)}, i*k*1500)
			bufs = append(bufs, buf, nil)
			want = append(want, buf...)
		}
		calls = append(calls, bufs)
	}
	written := make(chan error, 1)
	go func() {
		for _, bufs := range calls {
			if err := a.WriteBuffers(bufs); err != nil {
				written <- err
				return
			}
		}
		written <- a.Close()
	}()
	if n, err := b.Read(nil); n != 0 || err != nil {
		t.Errorf("read into nothing: %d, %v", n, err)
	}
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came of %d, %v", len(got), len(want), err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// TestSocketErrors are those of package net: of a peer that is gone, of a deadline, and of
// a Close meanwhile.
func TestSocketErrors(t *testing.T) {
	large := [][]byte{make([]byte, 4<<20)}
	a, b := socketPair(t)
	b.Close()
	var op *net.OpError
	if err := a.WriteBuffers(large); !errors.Is(err, syscall.EPIPE) || !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("the peer is gone: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer is gone: %v", err)
	}
	a, _ = socketPair(t)
	if err := a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteBuffers(large); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("nobody reads: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { a.Close() })
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("it is closed: %v", err)
	}
	if err := a.WriteBuffers(large); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is closed: %v", err)
	}
}

// TestSocketAllocatesNothing for a record.
func TestSocketAllocatesNothing(t *testing.T) {
	a, b := socketPair(t)
	record, into := [3][]byte{make([]byte, 32), make([]byte, 64), make([]byte, 10000)}, make([]byte, 20000)
	bufs := make([][]byte, 3)
	n := testing.AllocsPerRun(100, func() {
		copy(bufs, record[:])
		if err := a.WriteBuffers(bufs); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Read(into); n != 10096 || err != nil {
			t.Fatal(n, err)
		}
	})
	if n > 0 {
		t.Errorf("%g allocations", n)
	}
}
