package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// How many lines one place in the program may log: a peer that sends without end
// what is worth a line must not fill a disk. Each place has a bound of its own, so
// that a flood of one kind hides no line of another.
const (
	maxBurst = 50
	maxRate  = 5 // lines per second after a burst
	// countEvery is how long suppressed lines wait to be counted in a line.
	countEvery = time.Second
)

// maxLine bounds a line in bytes.
const maxLine = 4096

// NewLog returns a logger that writes one line a record, for a person: the program's
// name, the message, and the attributes in brackets, errors with remedies. What
// others wrote is made printable, and lines that come too often are counted instead.
func NewLog(w io.Writer, program string, level slog.Level) *slog.Logger {
	return newLog(w, textFormat(program), level)
}

func newLog(w io.Writer, format lineFormat, level slog.Level) *slog.Logger {
	lines := &lineWriter{w: w, format: format, journal: isJournal(w), floods: map[uintptr]*flood{}}
	return slog.New(&lineHandler{lines: lines, level: level})
}

// lineFormat writes records as lines.
type lineFormat interface {
	formatRecord(r slog.Record, attrs []slog.Attr) string
	// formatSuppressed returns the line that counts lines which came too often.
	formatSuppressed(message string, n int) string
}

type lineHandler struct {
	lines *lineWriter
	level slog.Level
	attrs []slog.Attr
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	return h.lines.writeLine(r.PC, r.Level, r.Message, func() string { return h.lines.format.formatRecord(r, h.attrs) })
}

// textFormat is lines for a person, which begin with the name of a program.
type textFormat string

func (t textFormat) formatRecord(r slog.Record, attrs []slog.Attr) string {
	var parts []string
	eachAttr(r, attrs, func(a slog.Attr) {
		if text := describeAttr(a); text != "" && text != "<nil>" {
			parts = append(parts, a.Key+": "+text)
		}
	})
	text := r.Message
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return t.formatLine(text)
}

func (t textFormat) formatSuppressed(message string, n int) string {
	return t.formatLine(fmt.Sprintf("%s ... %s more suppressed", message, formatThousands(n)))
}

func (t textFormat) formatLine(text string) string { return string(t) + ": " + oneLine(text) }

// eachAttr calls do for the attributes of a logger and of a record.
func eachAttr(r slog.Record, attrs []slog.Attr, do func(slog.Attr)) {
	for _, a := range attrs {
		do(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		do(a)
		return true
	})
}

// describeAttr returns the value of an attribute as text, an error with its remedy.
func describeAttr(a slog.Attr) string {
	if err, ok := a.Value.Any().(error); ok {
		return Explain(err)
	}
	return a.Value.String()
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return &with
}

func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// lineWriter writes the lines of a program, at most maxRate from each place.
type lineWriter struct {
	format  lineFormat
	journal bool // lines begin with their level

	mu     sync.Mutex
	w      io.Writer
	floods map[uintptr]*flood // by the place in the program
}

// flood is what one place has logged lately.
type flood struct {
	spent      time.Duration // of maxBurst/maxRate; a line costs 1/maxRate
	at         time.Time     // when spent was so much
	suppressed int           // lines that no line has counted
	level      slog.Level    // of these
	last       string        // message of these
}

// takeToken reports whether one more line may be written.
func (f *flood) takeToken(now time.Time) bool {
	const cost = time.Second / maxRate
	f.spent = max(0, f.spent-now.Sub(f.at))
	f.at = now
	if f.spent+cost > maxBurst*cost {
		return false
	}
	f.spent += cost
	return true
}

// writeLine writes the line of a record that was logged at place, or counts it.
func (l *lineWriter) writeLine(place uintptr, level slog.Level, message string, line func() string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.floods[place]
	if f == nil {
		f = &flood{}
		l.floods[place] = f
	}
	if f.takeToken(time.Now()) {
		return l.printLine(level, line())
	}
	if f.suppressed++; f.suppressed == 1 {
		time.AfterFunc(countEvery, func() { l.writeSuppressed(f) })
	}
	f.level, f.last = level, message
	return nil
}

// writeSuppressed writes how many lines were suppressed.
func (l *lineWriter) writeSuppressed(f *flood) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.printLine(f.level, l.format.formatSuppressed(f.last, f.suppressed))
	f.suppressed = 0
}

func (l *lineWriter) printLine(level slog.Level, line string) error {
	prefix := ""
	if l.journal {
		prefix = levelPrefix(level)
	}
	_, err := fmt.Fprintln(l.w, prefix+line)
	return err
}

// oneLine makes a text printable, and one line of bounded length.
func oneLine(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	return capture.Printable(text[:min(len(text), maxLine)])
}

// formatThousands writes a number with commas.
func formatThousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
