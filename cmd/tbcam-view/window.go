package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/sink"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/snapshot"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/window"
	"github.com/tbcam/tbcam/codec"
)

// windowSink keeps a window open: it acts on its keys, and tells it again what
// it showed when it had to be opened again.
type windowSink struct {
	viewer *viewer

	mu        sync.Mutex
	window    *window.Window // nil while it is closed
	last      *capture.Frame // the picture that is shown, for a snapshot
	converter *codec.Converter
	titleText string
	text      string
	missed    uint64 // superseded in windows that are gone
}

// status is how often the statistics in the window are renewed.
const statusEvery = time.Second

// open implements the opening of sink.Fanout.Add.
func (s *windowSink) open() (sink.Sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.converter = codec.NewConverter()
	w, err := window.Open(window.Options{
		Title: s.titleText, Log: s.viewer.log,
		Planar: codec.PlanarFormat, Convert: s.converter.Planar,
	})
	if err != nil {
		s.converter.Close()
		return nil, err
	}
	w.SetMessage(s.text)
	s.window = w
	go s.follow(w)
	return s, nil
}

// follow acts on what happens in the window until it is gone.
func (s *windowSink) follow(w *window.Window) {
	ticker := time.NewTicker(statusEvery)
	defer ticker.Stop()
	for {
		select {
		case e, ok := <-w.Events():
			if !ok {
				return
			}
			s.event(e)
		case <-ticker.C:
			w.SetStatus(s.statistics())
		}
	}
}

// statistics returns the table without the fates that befell no frame.
func (s *windowSink) statistics() []string {
	summary := s.viewer.summary()
	summary.Fates = slices.DeleteFunc(summary.Fates, func(f meter.Fate) bool { return f.Count == 0 })
	var text strings.Builder
	_ = summary.Table(&text) // a Builder never fails
	return strings.Split(strings.TrimSpace(text.String()), "\n")
}

func (s *windowSink) event(e window.Event) {
	switch e.Kind {
	case window.Shown:
		s.viewer.meter.Add(&e.At, e.ShownAt)
	case window.Snapshot:
		s.snapshot()
	case window.Quit:
		if s.viewer.sinks() == 1 {
			s.viewer.done()
		}
	}
}

// Present takes over the reference.
func (s *windowSink) Present(f *capture.Frame) error {
	s.mu.Lock()
	w, before := s.window, s.last
	s.last = f.Retain()
	s.mu.Unlock()
	if before != nil {
		before.Release()
	}
	err := w.Present(f)
	if errors.Is(err, window.ErrClosed) {
		s.viewer.log.Info("the window was closed; the rest goes on")
		s.viewer.demand.need(false)
		return sink.ErrDone
	}
	return err
}

// Close closes the window.
func (s *windowSink) Close() error {
	s.mu.Lock()
	w, last := s.window, s.last
	s.window, s.last = nil, nil
	s.missed += w.Stats().Superseded
	s.mu.Unlock()
	if last != nil {
		last.Release()
	}
	err := w.Close()
	s.converter.Close()
	return err
}

// snapshot writes the picture that is shown to a new file.
func (s *windowSink) snapshot() {
	s.mu.Lock()
	var f *capture.Frame
	if s.last != nil {
		f = s.last.Retain()
	}
	s.mu.Unlock()
	if f == nil {
		return
	}
	defer f.Release()
	path := time.Now().Format("tbcam-20060102-150405.000.png")
	if err := errors.Join(snapshot.Check(path, false), snapshot.Write(path, f)); err != nil {
		s.viewer.log.Warn(err.Error())
		return
	}
	s.viewer.log.Info(fmt.Sprintf("snapshot %s", path))
}

func (s *windowSink) title(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.titleText = title
	if s.window != nil {
		s.window.SetTitle(title)
	}
}

func (s *windowSink) message(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = text
	if s.window != nil {
		s.window.SetMessage(text)
	}
}

// superseded counts pictures that the window never saw.
func (s *windowSink) superseded() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window == nil {
		return s.missed
	}
	return s.missed + s.window.Stats().Superseded
}
