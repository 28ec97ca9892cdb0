package pairsock

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// joined has a person run the pair command for a program.
func joined(t *testing.T, p *person) (s *Server, result <-chan error) {
	t.Helper()
	dir := t.TempDir()
	s, err := Listen(dir, trust.RoleViewer, "tbcam", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	paths := Find(dir, trust.RoleViewer)
	if len(paths) != 1 || len(Find(dir, trust.RoleSender)) != 0 {
		t.Fatalf("found %q", paths)
	}
	if s.SenderPrompt() != nil || s.ViewerPrompt() != nil {
		t.Error("there is a user before the pair command")
	}
	done := make(chan error, 1)
	go func() {
		name, err := Join(t.Context(), paths[0], "", p)
		if err == nil && name != "desktop" {
			err = errors.New("paired with " + name)
		}
		done <- err
	}()
	awaitVisitor(t, s)
	return s, done
}

func awaitVisitor(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); s.current() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no pair command is connected")
		}
	}
}

func TestQuestionsAreAnswered(t *testing.T) {
	p := newPerson()
	p.number = "123456"
	s, done := joined(t, p)
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
	if yes, err := viewer.ConfirmSender(ctx, "laptop"); !yes || err != nil {
		t.Errorf("confirmed %v, %v", yes, err)
	}
	if yes, err := viewer.ConfirmSender(ctx, "other"); yes || err != nil {
		t.Errorf("confirmed %v, %v", yes, err)
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
	if err := <-done; err != nil {
		t.Errorf("pair: %v", err)
	}
}

// TestCancelledQuestion: a question ends on both sides when its session does, and its
// answer counts for no later one.
func TestCancelledQuestion(t *testing.T) {
	p := newPerson()
	p.away = true
	s, done := joined(t, p)
	ctx, end := context.WithCancel(t.Context())
	go func() { <-p.shown; end() }()
	if _, err := s.SenderPrompt().EnterNumber(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled question: %v", err)
	}
	<-p.hidden
	if grant, err := s.SenderPrompt().GrantRights(t.Context()); err != nil || !grant.Rights.Control {
		t.Errorf("the next one: %v, %v", grant, err)
	}
	s.Close()
	if err := <-done; !errors.Is(err, ErrLeft) {
		t.Errorf("pair, whose program has ended: %v", err)
	}
}

func TestRefusal(t *testing.T) {
	p := newPerson()
	p.refuses = true
	s, done := joined(t, p)
	_, err := s.SenderPrompt().EnterNumber(t.Context(), 0)
	if err == nil || err.Error() != errRefuses.Error() {
		t.Errorf("refused: %v", err)
	}
	s.ReportFailure(err, true)
	if err := <-done; !errors.As(err, new(*FailedError)) {
		t.Errorf("pair: %v", err)
	}
}

func TestPairCommandLeaves(t *testing.T) {
	dir := t.TempDir()
	s, err := Listen(dir, trust.RoleViewer, "tbcam", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, leave := context.WithCancel(t.Context())
	p := newPerson()
	p.away = true
	done := make(chan error, 1)
	go func() { _, err := Join(ctx, Find(dir, trust.RoleViewer)[0], "tbcam", p); done <- err }()
	awaitVisitor(t, s)
	go func() { <-p.shown; leave() }()
	if _, err := s.SenderPrompt().EnterNumber(t.Context(), 0); err == nil {
		t.Error("who left has answered")
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("pair: %v", err)
	}
	for s.SenderPrompt() != nil {
		time.Sleep(time.Millisecond)
	}
}

// TestJoinOnlyItsStream: a program on another stream is left alone, and only one pair command is
// connected at a time.
func TestJoinOnlyItsStream(t *testing.T) {
	p := newPerson()
	s, _ := joined(t, p)
	path := s.listener.String()[len("unix:"):]
	var failed *FailedError
	if _, err := Join(t.Context(), path, "", p); !errors.As(err, &failed) {
		t.Errorf("a second pair command: %v", err)
	}
	s.current().conn.Close()
	for s.current() != nil {
		time.Sleep(time.Millisecond)
	}
	if _, err := Join(t.Context(), path, "other", p); !errors.Is(err, ErrOtherStream) {
		t.Errorf("pair for another stream: %v", err)
	}
}

// TestLongLines: what is not a short line of JSON disconnects.
func TestLongLines(t *testing.T) {
	for _, line := range []string{strings.Repeat("x", 2*maxLine), "[]\n"} {
		s, done := joined(t, newPerson())
		s.current().conn.Close()
		<-done
		conn, err := net.Dial("unix", s.listener.String()[len("unix:"):])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(line))
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		for buffer := make([]byte, 100); ; {
			if _, err = conn.Read(buffer); err != nil {
				break
			}
		}
		if os.IsTimeout(err) {
			t.Errorf("%.3q...: still connected", line)
		}
		conn.Close()
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
	s, err := Listen(dir, trust.RoleSender, "tbcam", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if found := Find(dir, trust.RoleSender); len(found) != 1 || found[0] == stale {
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
