package hub

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// maxClients bounds the connections to a hub, and acceptPause how fast they follow each
// other once there are so many.
const (
	maxClients  = 16
	acceptPause = 100 * time.Millisecond
)

// server offers a hub on sockets of this user, until it is closed.
type server struct {
	hub     *Hub
	log     *slog.Logger
	memory  memory
	ctx     context.Context
	cancel  context.CancelFunc
	serving sync.WaitGroup

	mu      sync.Mutex
	clients int
}

func newServer(h *Hub) *server {
	s := &server{hub: h, log: h.log}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// listen serves the clients that come to a socket's path.
func (s *server) listen(path string) error {
	l, err := unixsock.Listen(path, nil, s.log)
	if err != nil {
		return err
	}
	s.serving.Go(func() {
		defer l.Close()
		s.accept(l)
	})
	return nil
}

// accept takes connections until the server is closed.
func (s *server) accept(l *unixsock.Listener) {
	for {
		conn, err := l.Open(s.ctx)
		if s.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil { // such as no descriptor that is free
			s.log.Warn("accept a viewer of this host", "err", err)
		} else if s.admit() {
			s.serving.Go(func() { s.serve(conn) })
			continue
		} else {
			conn.Close()
		}
		select {
		case <-time.After(acceptPause):
		case <-s.ctx.Done():
		}
	}
}

// admit reports whether there is room for one more client, and counts it.
func (s *server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients == maxClients {
		return false
	}
	s.clients++
	return true
}

// serve serves a client.
func (s *server) serve(conn transport.Conn) {
	s.log.Debug("viewer of this host attached")
	err := s.hub.serveClient(s.ctx, conn, &s.memory)
	s.log.Debug("viewer of this host left", "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
}

// close ends all clients and removes the sockets.
func (s *server) close() {
	s.cancel()
	s.serving.Wait()
}
