package harness

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Line is a socket between the programs that can be cut, as a cable is pulled.
type Line struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	conns    []net.Conn
}

// LayLine lays a line to the viewer's socket at path. It returns the sender's flag for
// the other end.
func LayLine(t *testing.T, path string) (*Line, string) {
	t.Helper()
	end := path + ".a"
	l, err := net.Listen("unix", end)
	if err != nil {
		t.Fatal(err)
	}
	line := &Line{listener: l, to: path}
	t.Cleanup(func() { l.Close(); line.Cut() })
	go line.serve()
	return line, "--stream=unix:" + end
}

// serve connects both ends whenever the sender dials.
func (l *Line) serve() {
	for {
		a, err := l.listener.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("unix", l.to)
		if err != nil {
			a.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, a, b)
		l.mu.Unlock()
		for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
			go func() {
				io.Copy(way[0], way[1])
				a.Close()
				b.Close()
			}()
		}
	}
}

// Cut ends what goes on. The sender may dial again.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		conn.Close()
	}
	l.conns = nil
}
