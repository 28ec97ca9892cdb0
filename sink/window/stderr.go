package window

import (
	"bytes"
	"cmp"
	"log/slog"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// maxStderrLine bounds a line of the window's process in bytes.
const maxStderrLine = 500

// harmless starts what ebiten's X library prints wherever there is no ~/.Xauthority.
const harmless = "XGB: "

// stderr logs what the window's process writes to its standard error, line by
// line, and keeps what may explain why it ended.
type stderr struct {
	log   *slog.Logger
	line  []byte // not complete yet
	first string
	why   string // the first line in which a program states why it ends
}

// Write is called by one goroutine until the process has ended.
func (s *stderr) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		s.line = append(s.line, line[:min(len(line), maxStderrLine-len(s.line))]...)
		if bytes.HasSuffix(line, []byte("\n")) {
			s.flushLine()
		}
	}
	return len(p), nil
}

func (s *stderr) flushLine() {
	line := capture.Printable(strings.TrimSpace(string(s.line)))
	s.line = s.line[:0]
	if line == "" || strings.HasPrefix(line, harmless) {
		return
	}
	s.log.Debug("window", "stderr", line)
	s.first = cmp.Or(s.first, line)
	for _, start := range []string{program + ": ", "glfw: ", "panic: ", "fatal error: "} {
		if text, ok := strings.CutPrefix(line, start); ok {
			s.why = cmp.Or(s.why, text)
		}
	}
}

// endCause returns in one line why the process ended with an error of exec.Cmd.Wait.
func (s *stderr) endCause(err error) string {
	s.flushLine()
	status := "it ended"
	if err != nil {
		status = err.Error()
	}
	if text := cmp.Or(s.why, s.first); text != "" {
		return text + " (" + status + ")"
	}
	return status
}
