package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// NewLog returns a logger that writes one line a record, for a person: the
// program's name, the message, and the attributes in brackets.
func NewLog(w io.Writer, program string, level slog.Level) *slog.Logger {
	return slog.New(&lineHandler{w: w, program: program, level: level, mu: &sync.Mutex{}})
}

type lineHandler struct {
	w       io.Writer
	program string
	level   slog.Level
	attrs   []slog.Attr
	mu      *sync.Mutex
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var parts []string
	add := func(a slog.Attr) bool {
		if text := a.Value.String(); text != "" && text != "<nil>" {
			parts = append(parts, a.Key+": "+text)
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	line := h.program + ": " + r.Message
	if len(parts) > 0 {
		line += " (" + strings.Join(parts, ", ") + ")"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := fmt.Fprintln(h.w, line)
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return &with
}

func (h *lineHandler) WithGroup(string) slog.Handler { return h }
