package pairsock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// maxVisit is how long the pair command may stay connected: somewhat longer than it waits
// for a peer.
const maxVisit = 5 * time.Minute

// acceptPause follows a connection that could not be taken.
const acceptPause = 100 * time.Millisecond

// Server has users answer a program's questions by the pair command. The methods of a nil
// Server do nothing.
type Server struct {
	listener transport.Link
	stream   string
	ctx      context.Context
	cancel   context.CancelFunc
	serving  sync.WaitGroup

	mu      sync.Mutex
	visitor *visitor // nil: no pair command is connected
}

// Listen makes the socket of this program in a directory of its user. role is that of its
// peers; stream is where it waits for them.
func Listen(dir string, role trust.Role, stream string, log *slog.Logger) (*Server, error) {
	removeStale(dir, role)
	path := filepath.Join(dir, fmt.Sprintf("%s%d.sock", prefix(role), os.Getpid()))
	listener, err := unixsock.Listen(path, nil, log)
	if err != nil {
		return nil, fmt.Errorf("listen for the pair command: %w", err)
	}
	return serveOn(listener, stream), nil
}

// serveOn serves the pair commands that connect to a link.
func serveOn(listener transport.Link, stream string) *Server {
	s := &Server{listener: listener, stream: stream}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serving.Go(s.accept)
	return s
}

// prefix begins the names of sockets of one kind. Hosts may share a home directory, but
// no sockets: so it depends on the host.
func prefix(role trust.Role) string {
	host, _ := os.Hostname() // "" would be the same for all who have none
	sum := sha256.Sum256([]byte(host))
	return fmt.Sprintf("pair-%s-%s-", role, hex.EncodeToString(sum[:4]))
}

// Find returns the sockets of running programs that may pair with peers of a role.
func Find(dir string, role trust.Role) []string {
	paths, _ := filepath.Glob(filepath.Join(escape(dir), prefix(role)+"*.sock")) // the pattern is well-formed
	return paths
}

// CountRunning returns how many programs answer at the sockets that Find returns.
func CountRunning(dir string, role trust.Role) (n int) {
	for _, path := range Find(dir, role) {
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			n++
		}
	}
	return n
}

// escape returns a pattern that only the path matches.
func escape(path string) string {
	var pattern []byte
	for _, b := range []byte(path) {
		if b == '*' || b == '?' || b == '[' || b == '\\' {
			pattern = append(pattern, '\\')
		}
		pattern = append(pattern, b)
	}
	return string(pattern)
}

// removeStale removes the sockets of programs that were killed.
func removeStale(dir string, role trust.Role) {
	for _, path := range Find(dir, role) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(path)
		}
	}
}

// Close disconnects the pair command, and removes the socket.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	s.cancel()
	err := s.listener.Close()
	s.serving.Wait()
	return err
}

// accept serves the pair commands that connect, until Close.
func (s *Server) accept() {
	for s.ctx.Err() == nil {
		conn, err := s.listener.Open(s.ctx)
		if err != nil {
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
			}
			continue
		}
		v := &visitor{conn: conn, ended: make(chan struct{}), answers: make(chan answer)}
		// The stream comes before all questions.
		if v.send(question{Kind: kindStream, Text: s.stream}) != nil || !s.admit(v) {
			_ = v.send(question{Kind: kindFailed, Text: "another pair command is connected to it"})
			conn.Close()
			continue
		}
		s.serving.Go(func() { s.serve(v) })
	}
}

// admit makes v the visitor, unless there is one.
func (s *Server) admit(v *visitor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.visitor != nil {
		return false
	}
	s.visitor = v
	return true
}

// serve reads the answers of a visitor until it leaves.
func (s *Server) serve(v *visitor) {
	defer context.AfterFunc(s.ctx, func() { v.conn.Close() })()
	defer time.AfterFunc(maxVisit, func() { v.conn.Close() }).Stop()
	_ = readMessages(v.conn, v.takeAnswer) // it leaves, whatever the reason
	s.mu.Lock()
	s.visitor = nil
	s.mu.Unlock()
	close(v.ended)
	v.conn.Close()
}

// current returns the visitor, nil if there is none.
func (s *Server) current() *visitor {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visitor
}

// SenderPrompt returns what asks the user of the pair command, nil if none is connected.
func (s *Server) SenderPrompt() trust.SenderPrompt {
	if v := s.current(); v != nil {
		return v
	}
	return nil
}

// ViewerPrompt returns what asks the user of the pair command, nil if none is connected.
func (s *Server) ViewerPrompt() trust.ViewerPrompt {
	if v := s.current(); v != nil {
		return v
	}
	return nil
}

// ReportPaired has the pair command end, as the program is paired with a peer.
func (s *Server) ReportPaired(name string) {
	if v := s.current(); v != nil {
		_ = v.send(question{Kind: kindPaired, Text: name})
	}
}

// ReportFailure reports why a session ended without trust. The pair command ends if that
// is final.
func (s *Server) ReportFailure(err error, final bool) {
	report := question{Kind: kindState, Text: err.Error()}
	if final {
		report.Kind = kindFailed
	}
	if v := s.current(); v != nil {
		_ = v.send(report)
	}
}

// visitor is a pair command that is connected.
type visitor struct {
	conn    transport.Conn
	ended   chan struct{} // closed when it has left
	answers chan answer

	mu    sync.Mutex
	asked int
}

// errLeft is returned when the pair command ended before it answered.
var errLeft = errors.New("the pair command has ended")

// takeAnswer hands an answer to the one that waits for it. One that nobody waits for is
// dropped.
func (v *visitor) takeAnswer(a answer) error {
	select {
	case v.answers <- a:
	case <-time.After(time.Second):
	}
	return nil
}

// send sends news.
func (v *visitor) send(q question) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.conn.WriteBuffers([][]byte{encodeMessage(q)})
}

// sendNumbered sends a question, and returns its number.
func (v *visitor) sendNumbered(q question) (number int, err error) {
	v.mu.Lock()
	v.asked++
	q.Number = v.asked
	v.mu.Unlock()
	return q.Number, v.send(q)
}

// ask returns the answer to a question.
func (v *visitor) ask(ctx context.Context, q question) (answer, error) {
	number, err := v.sendNumbered(q)
	for err == nil {
		select {
		case a := <-v.answers:
			switch {
			case a.Number != number: // of a question that was cancelled
			case a.Err != "":
				return answer{}, errors.New(a.Err)
			default:
				return a, nil
			}
		case <-v.ended:
			err = errLeft
		case <-ctx.Done():
			return answer{}, errors.Join(ctx.Err(), v.send(question{Kind: kindCancel, Number: number}))
		}
	}
	return answer{}, err
}

// EnterNumber implements trust.SenderPrompt.
func (v *visitor) EnterNumber(ctx context.Context, wrong int) (string, error) {
	a, err := v.ask(ctx, question{Kind: kindEnterNumber, Wrong: wrong})
	return a.Text, err
}

// GrantRights implements trust.SenderPrompt.
func (v *visitor) GrantRights(ctx context.Context) (trust.Grant, error) {
	a, err := v.ask(ctx, question{Kind: kindGrantRights})
	if err == nil && a.Grant == nil {
		err = errors.New("the pair command granted nothing")
	}
	if err != nil {
		return trust.Grant{}, err
	}
	return *a.Grant, nil
}

// ShowNumber implements trust.ViewerPrompt.
func (v *visitor) ShowNumber(ctx context.Context, number string) {
	asked, err := v.sendNumbered(question{Kind: kindShowNumber, Text: number})
	if err == nil {
		context.AfterFunc(ctx, func() { _ = v.send(question{Kind: kindCancel, Number: asked}) })
	}
}

// ConfirmSender implements trust.ViewerPrompt.
func (v *visitor) ConfirmSender(ctx context.Context, name string) (bool, error) {
	a, err := v.ask(ctx, question{Kind: kindConfirmSender, Text: name})
	return a.Yes, err
}
