package harness

import (
	"io"
	"os"
	"regexp"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/fixtures/logbuffer"
	"github.com/tbcam/tbcam/fixtures/pty"
)

// Screen is a terminal with a person in front of it.
type Screen struct {
	file *os.File // the person's end
	path string   // the program's end
	text logbuffer.Buffer
}

// NewScreen opens a terminal, until the test is over.
func NewScreen(t *testing.T) *Screen {
	t.Helper()
	ours, theirs, _ := pty.Pair(t)
	file, err := os.OpenFile(ours, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Screen{file: file, path: theirs}
	go func() { _, _ = io.Copy(&s.text, file) }()
	t.Cleanup(func() { file.Close() })
	return s
}

// Text returns all that was printed.
func (s *Screen) Text() string { return s.text.String() }

// Find returns what a pattern captures of what was printed, "" if it is not there.
func (s *Screen) Find(pattern string) string {
	found := regexp.MustCompile(pattern).FindStringSubmatch(s.Text())
	if found == nil {
		return ""
	}
	return found[len(found)-1]
}

// Await waits until a pattern was printed, and returns what it captures.
func (s *Screen) Await(t *testing.T, pattern string) string {
	t.Helper()
	WaitUntil(t, pattern, func() bool { return s.Find(pattern) != "" })
	return s.Find(pattern)
}

// Answer types a line.
func (s *Screen) Answer(t *testing.T, line string) {
	t.Helper()
	if _, err := s.file.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// Connect makes it the terminal of a program.
func (s *Screen) Connect(p *Program) {
	if s == nil {
		return
	}
	file, err := os.OpenFile(s.path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		panic(err)
	}
	p.Stdin, p.Stderr = file, file
}
