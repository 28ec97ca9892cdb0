package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
)

// Values of --log.
const (
	logText = "text"
	logJSON = "json"
)

// LogFlags are --log and --verbose.
type LogFlags struct {
	verbose bool
	format  string
}

// Register adds the flags.
func (l *LogFlags) Register(f *pflag.FlagSet) {
	l.format = logText
	f.Var(l, "log", "log as text, or as json: one object per line")
	f.BoolVarP(&l.verbose, "verbose", "v", false, "log more details")
}

// Set, String and Type implement pflag.Value of --log.
func (l *LogFlags) Set(format string) error {
	if format != logText && format != logJSON {
		return fmt.Errorf("want text or json")
	}
	l.format = format
	return nil
}

func (l *LogFlags) String() string { return l.format }

// Type names the value in --help.
func (l *LogFlags) Type() string { return "text|json" }

// New returns the logger that the flags ask for.
func (l *LogFlags) New(w io.Writer, program string) *slog.Logger {
	level := slog.LevelInfo
	if l.verbose {
		level = slog.LevelDebug
	}
	if l.format == logJSON {
		return newLog(w, jsonFormat(program), level)
	}
	return NewLog(w, program, level)
}

// jsonFormat is one JSON object a line: time, level, msg, program, and the attributes.
type jsonFormat string

// maxText bounds a text in an object, in bytes.
const maxText = maxLine / 4

func (j jsonFormat) formatRecord(r slog.Record, attrs []slog.Attr) string {
	line := slog.NewRecord(r.Time, r.Level, boundText(r.Message), 0)
	line.AddAttrs(slog.String("program", string(j)))
	eachAttr(r, attrs, func(a slog.Attr) { line.AddAttrs(plainAttr(a)) })
	var b bytes.Buffer
	h := slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: lowerLevel})
	_ = h.Handle(context.Background(), line) // a Buffer never fails, and texts and numbers can be encoded
	return strings.TrimSpace(b.String())
}

func (j jsonFormat) formatSuppressed(message string, n int) string {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, message, 0)
	return j.formatRecord(r, []slog.Attr{slog.Int("suppressed", n)})
}

// plainAttr returns an attribute as a number, true or false, or text.
func plainAttr(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool:
		return a
	}
	return slog.String(a.Key, boundText(describeAttr(a)))
}

// boundText makes a text printable and bounds its length.
func boundText(text string) string {
	text = oneLine(text)
	return capture.Printable(text[:min(len(text), maxText)])
}

// lowerLevel writes levels in lower case.
func lowerLevel(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.LevelKey {
		return slog.String(slog.LevelKey, strings.ToLower(a.Value.String()))
	}
	return a
}
