package pairsock

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
)

// person answers as its fields say, and notes what it is shown.
type person struct {
	number  string
	away    bool // it answers nothing
	refuses bool
	shown   chan string
	hidden  chan string
	states  chan string
}

func newPerson() *person {
	return &person{shown: make(chan string, 8), hidden: make(chan string, 8), states: make(chan string, 8)}
}

var errRefuses = errors.New("no, thanks")

func (p *person) EnterNumber(ctx context.Context, wrong int) (string, error) {
	if p.away {
		p.shown <- "question"
		<-ctx.Done()
		p.hidden <- "question"
		return "", ctx.Err()
	}
	if p.refuses {
		return "", errRefuses
	}
	return p.number + strings.Repeat("0", wrong), nil
}

func (p *person) GrantRights(context.Context) (trust.Grant, error) {
	return trust.Grant{Rights: trust.Rights{Cameras: []string{"C920"}, Control: true}, Once: true}, nil
}

func (p *person) ShowNumber(ctx context.Context, number string) {
	p.shown <- number
	context.AfterFunc(ctx, func() { p.hidden <- number })
}

func (p *person) ConfirmSender(_ context.Context, name string) (bool, error) {
	return name == "laptop", nil
}

func (p *person) ReportState(text string) { p.states <- text }

// pipes is a link of the connections that a test makes.
type pipes chan net.Conn

func (p pipes) Open(ctx context.Context) (transport.Conn, error) {
	select {
	case conn := <-p:
		return transport.NewConn(conn), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Properties() transport.Properties { return transport.Properties{} }
func (p pipes) Close() error                     { return nil }
func (p pipes) String() string                   { return "pipes" }

// program is one that runs on the stream "tbcam", in virtual time.
type program struct {
	*Server
	pipes
}

// withProgram runs a test of a program in a bubble.
func withProgram(t *testing.T, test func(*testing.T, *program)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &program{pipes: make(pipes)}
		p.Server = serveOn(p.pipes, "tbcam")
		defer p.Server.Close()
		test(t, p)
	})
}

// connect returns the pair command's end of a connection.
func (p *program) connect() net.Conn {
	ours, theirs := net.Pipe()
	p.pipes <- theirs
	return ours
}

// result is what the pair command ends with.
type result struct {
	name string
	err  error
}

// join has a person run the pair command for a stream, and returns when that is connected
// or has ended.
func (p *program) join(ctx context.Context, stream string, user User) <-chan result {
	conn, done := p.connect(), make(chan result, 1)
	go func() {
		name, err := join(ctx, conn, stream, user)
		done <- result{name, err}
	}()
	synctest.Wait()
	return done
}

func TestQuestionsAreAnswered(t *testing.T) {
	withProgram(t, func(t *testing.T, s *program) {
		if s.SenderPrompt() != nil || s.ViewerPrompt() != nil {
			t.Error("there is a user before the pair command")
		}
		p := newPerson()
		p.number = "123456"
		done := s.join(t.Context(), "tbcam", p)
		ctx, end := context.WithCancel(t.Context())
		prompt, viewer := s.SenderPrompt(), s.ViewerPrompt()
		for wrong, want := range []string{"123456", "1234560"} {
			if got, err := prompt.EnterNumber(ctx, wrong); got != want || err != nil {
				t.Errorf("typed %q, %v", got, err)
			}
		}
		if grant, err := prompt.GrantRights(ctx); err != nil || !grant.Once || !grant.Rights.Control || grant.Rights.Cameras[0] != "C920" {
			t.Errorf("granted %v, %v", grant, err)
		}
		for name, want := range map[string]bool{"laptop": true, "other": false} {
			if yes, err := viewer.ConfirmSender(ctx, name); yes != want || err != nil {
				t.Errorf("%s is confirmed: %v, %v", name, yes, err)
			}
		}
		viewer.ShowNumber(ctx, "654321")
		if shown := <-p.shown; shown != "654321" {
			t.Errorf("shows %q", shown)
		}
		end()
		if hidden := <-p.hidden; hidden != "654321" {
			t.Errorf("hides %q", hidden)
		}
		s.ReportFailure(errors.New("it is not there yet"), false)
		if state := <-p.states; state != "it is not there yet" {
			t.Errorf("reports %q", state)
		}
		s.ReportPaired("desktop")
		if got := <-done; got != (result{"desktop", nil}) {
			t.Errorf("pair: %v", got)
		}
	})
}

// TestCancelledQuestion: a question ends on both sides when its session does, and its
// answer counts for no later one.
func TestCancelledQuestion(t *testing.T) {
	withProgram(t, func(t *testing.T, s *program) {
		p := newPerson()
		p.away = true
		done := s.join(t.Context(), "", p)
		ctx, end := context.WithCancel(t.Context())
		go func() { <-p.shown; end() }()
		if _, err := s.SenderPrompt().EnterNumber(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled question: %v", err)
		}
		<-p.hidden
		if grant, err := s.SenderPrompt().GrantRights(t.Context()); err != nil || !grant.Rights.Control {
			t.Errorf("the next one: %v, %v", grant, err)
		}
		s.Server.Close()
		if got := <-done; !errors.Is(got.err, ErrLeft) {
			t.Errorf("pair, whose program has ended: %v", got)
		}
	})
}

func TestRefusal(t *testing.T) {
	withProgram(t, func(t *testing.T, s *program) {
		p := newPerson()
		p.refuses = true
		done := s.join(t.Context(), "", p)
		_, err := s.SenderPrompt().EnterNumber(t.Context(), 0)
		if err == nil || err.Error() != errRefuses.Error() {
			t.Errorf("refused: %v", err)
		}
		s.ReportFailure(err, true)
		if got := <-done; !errors.As(got.err, new(*FailedError)) {
			t.Errorf("pair: %v", got)
		}
	})
}

func TestPairCommandLeaves(t *testing.T) {
	withProgram(t, func(t *testing.T, s *program) {
		ctx, leave := context.WithCancel(t.Context())
		p := newPerson()
		p.away = true
		done := s.join(ctx, "tbcam", p)
		go func() { <-p.shown; leave() }()
		if _, err := s.SenderPrompt().EnterNumber(t.Context(), 0); err == nil {
			t.Error("who left has answered")
		}
		if got := <-done; !errors.Is(got.err, context.Canceled) {
			t.Errorf("pair: %v", got)
		}
		synctest.Wait()
		if s.SenderPrompt() != nil {
			t.Error("who left is still asked")
		}
	})
}

// TestLongVisit: a pair command that never leaves is disconnected.
func TestLongVisit(t *testing.T) {
	withProgram(t, func(t *testing.T, s *program) {
		begun := time.Now()
		if got := <-s.join(t.Context(), "", newPerson()); !errors.Is(got.err, ErrLeft) || time.Since(begun) != maxVisit {
			t.Errorf("%v after %v", got, time.Since(begun))
		}
	})
}

// TestOnePairCommand: only one is connected at a time.
func TestOnePairCommand(t *testing.T) {
	withProgram(t, func(t *testing.T, s *program) {
		ctx, leave := context.WithCancel(t.Context())
		s.join(ctx, "", newPerson())
		if got := <-s.join(t.Context(), "", newPerson()); !errors.As(got.err, new(*FailedError)) {
			t.Errorf("a second pair command: %v", got)
		}
		leave()
		synctest.Wait()
		s.join(t.Context(), "", newPerson())
		if s.SenderPrompt() == nil {
			t.Error("another one cannot connect after it")
		}
	})
}

// TestLongLines: what is not a short line of JSON disconnects.
func TestLongLines(t *testing.T) {
	for _, line := range []string{strings.Repeat("x", 2*maxLine), "[]\n"} {
		withProgram(t, func(t *testing.T, s *program) {
			conn := s.connect()
			go func() { _, _ = conn.Write([]byte(line)) }() // of which the end may find no reader
			begun := time.Now()
			_, _ = io.Copy(io.Discard, conn)
			if took := time.Since(begun); took != 0 {
				t.Errorf("%.3q...: disconnected after %v", line, took)
			}
		})
	}
}

// TestJoinOnlyItsStream: over a socket, a program on another stream is left alone.
func TestJoinOnlyItsStream(t *testing.T) {
	dir := t.TempDir()
	s, err := Listen(dir, trust.RoleViewer, "tbcam", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	paths := Find(dir, trust.RoleViewer)
	if len(paths) != 1 || len(Find(dir, trust.RoleSender)) != 0 {
		t.Fatalf("found %q", paths)
	}
	if _, err := Join(t.Context(), paths[0], "other", newPerson()); !errors.Is(err, ErrOtherStream) {
		t.Errorf("pair for another stream: %v", err)
	}
}

func TestStaleSocketsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, prefix(trust.RoleSender)+"1.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if n := CountRunning(dir, trust.RoleSender); n != 0 {
		t.Errorf("%d programs answer at a stale socket", n)
	}
	s, err := Listen(dir, trust.RoleSender, "tbcam", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if found := Find(dir, trust.RoleSender); len(found) != 1 || found[0] == stale || CountRunning(dir, trust.RoleSender) != 1 {
		t.Errorf("found %q", found)
	}
	if info, err := os.Stat(Find(dir, trust.RoleSender)[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestNobody(t *testing.T) {
	var s *Server
	if s.SenderPrompt() != nil || s.ViewerPrompt() != nil || s.Close() != nil {
		t.Error("a program without a socket asks")
	}
	s.ReportPaired("desktop")
	if _, err := Join(t.Context(), filepath.Join(t.TempDir(), "none.sock"), "", newPerson()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("join nobody: %v", err)
	}
}
