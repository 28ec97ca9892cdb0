package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/snapshot"
	"github.com/tbcam/tbcam/sink/window"
	"github.com/tbcam/tbcam/transport"
)

// A window whose process has ended is opened again after reopenWindow; after
// attempts that did not even start, there is no display for it any more: it is
// tried at times if there are other sinks, and the run ends if there are none.
const (
	reopenWindow   = 500 * time.Millisecond
	reopenHopeless = 10 * time.Second
	attempts       = 3
)

// statusEvery is how often the figures in the statistics and the title are updated.
const statusEvery = time.Second

// windowActions is what the window's user can do to the rest. None of them waits.
type windowActions struct {
	// toggleRecording begins or ends a recording, and returns what it has done. It is
	// nil where there is nothing to record to.
	toggleRecording func() (string, error)
	// setControl has a control set. failed may be called later, from any goroutine.
	setControl func(id uint32, value int64, failed func(error))
	// confirmPairing confirms the sender that is being paired, and reports whether there is
	// one.
	confirmPairing func() bool
	// toggleMute mutes the far microphone, or unmutes it, and reports whether it is muted
	// then. It is nil where nothing plays it.
	toggleMute func() (muted bool)
}

// windowOutput keeps a window open: it acts on its keys, and opens it again, with
// what it showed, when its process has ended. It implements sink.Output, and the
// sink.Sink of all its windows.
type windowOutput struct {
	windowConfig
	closing chan struct{}
	noticed chan struct{}  // the text over the frame has changed
	kept    sync.WaitGroup // keep, and snapshots that are being written

	mu        sync.Mutex
	window    *window.Window // nil while there is none
	closed    bool           // its user closed it
	history   snapshotHistory
	camera    string
	mode      capture.Mode
	controls  []capture.Control
	recording bool
	fps       float64   // of the frames that are shown, 0 if unknown
	title     string    // of the window
	text      string    // over the frame
	stalled   bool      // no frame comes, although nothing is wrong: so there is another text
	last      time.Time // of the frame that was presented last
	missed    uint64    // superseded in windows that are gone, or presented to none
	loudness  loudness  // of the far microphone
}

// windowConfig is what a windowOutput is made for.
type windowConfig struct {
	log     *slog.Logger
	pool    *capture.Pool
	shown   func(at *[capture.NumStages]time.Time, when time.Time) // counts a frame
	summary func() meter.Summary
	actions windowActions
	hears   bool            // there is a far microphone to show the level of
	ending  <-chan struct{} // closed when the run is to end
	// end ends the output for good, and alone reports whether there is no other.
	end   func(err error)
	alone func() bool
}

func newWindowOutput(c windowConfig) *windowOutput {
	return &windowOutput{windowConfig: c, closing: make(chan struct{}), noticed: make(chan struct{}, 1)}
}

// windowOutputs returns the window, if one is to be opened. It measures itself when
// frames are shown.
func windowOutputs(r *run, _ func(*capture.Frame)) ([]sink.Output, error) {
	if !r.o.window {
		return nil, nil
	}
	c := windowConfig{
		log: r.log, pool: r.pool, shown: r.countShown, summary: r.summarize, ending: r.ending, hears: r.microphone != nil,
		actions: windowActions{setControl: r.bridge.setControlFromWindow, confirmPairing: r.stream.screen.confirm},
		alone:   func() bool { return r.fanout.Left() == 1 },
	}
	if r.o.record.path != "" {
		c.actions.toggleRecording = r.toggleRecording
	}
	if r.o.playback.plays() {
		c.actions.toggleMute = r.toggleMute
	}
	var s *windowOutput
	c.end = func(err error) {
		r.stream.screen.setWindow(false)
		r.fanout.End(s, err)
	}
	r.stream.screen.setWindow(true)
	s = newWindowOutput(c)
	return []sink.Output{s}, nil
}

// Name implements sink.Output.
func (s *windowOutput) Name() string { return "window" }

// Takes implements sink.Output.
func (s *windowOutput) Takes() sink.Need { return sink.Decoded }

// counted implements measured.
func (s *windowOutput) counted() string { return "shown" }

// opened is a window with what converts its frames.
type opened struct {
	*window.Window
	converter *codec.Converter
}

// Open implements sink.Output.
func (s *windowOutput) Open() (sink.Sink, error) {
	w, err := s.openWindow()
	if err != nil {
		return nil, err
	}
	s.kept.Go(func() { s.keepOpen(w) })
	return s, nil
}

// openWindow opens a window that shows what the last one did.
func (s *windowOutput) openWindow() (opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	converter := codec.NewConverter()
	s.fps = 0
	s.title = s.titleNow()
	w, err := window.Open(window.Options{
		Title: s.title, Log: s.log,
		Planar: codec.PlanarFormat, Convert: converter.Planar,
		Shrink: func(f *capture.Frame, pixels int) (*capture.Frame, error) {
			return converter.Shrink(f, s.pool, pixels)
		},
	})
	if err != nil {
		converter.Close()
		return opened{}, err
	}
	w.SetMessage(s.text)
	w.SetControls(s.controls)
	w.SetRecording(s.recording)
	s.loudness.seen = false // until the window reports it
	s.showLoudness(w)
	s.stalled = false
	if f := s.history.newestFrame(); f != nil {
		_ = w.Present(f) // keep logs the reason
	}
	s.window = w
	return opened{w, converter}, nil
}

// keepOpen follows the window, and those that are opened after it, until its user
// closes it, none can be opened, or Close.
func (s *windowOutput) keepOpen(w opened) {
	logged := ""
	for failures := 1; ; failures++ {
		started, err := s.runWindow(w)
		w = opened{}
		if errors.Is(err, window.ErrClosed) {
			return
		}
		if started {
			failures = 1
		}
		if failures >= attempts && s.alone() {
			s.end(fmt.Errorf("%w; nothing else was asked for: see --virtual-camera and --record", err))
			return
		}
		if !s.waitToReopen(failures) {
			return
		}
		if err.Error() != logged {
			logged = err.Error()
			s.log.Warn(logged, "sink", s.Name())
		}
	}
}

// runWindow follows a window, or a new one, until it is gone. It returns whether
// the window was ever there, and why it is not any more.
func (s *windowOutput) runWindow(w opened) (started bool, err error) {
	if w.Window == nil {
		if w, err = s.openWindow(); err != nil {
			return false, err
		}
	}
	started = s.handleEvents(w.Window)
	s.mu.Lock()
	s.window, s.loudness.seen = nil, false
	s.missed += w.Stats().Superseded
	s.mu.Unlock()
	defer w.converter.Close()
	closing := w.Close()
	return started, cmp.Or(w.Err(), closing)
}

// waitToReopen waits before the next attempt; false means that there is none, because the
// run is ending: a signal may have reached the window's process, too.
func (s *windowOutput) waitToReopen(failures int) bool {
	wait := reopenWindow
	if failures >= attempts {
		wait = reopenHopeless
	}
	select {
	case <-time.After(wait):
		return true
	case <-s.closing:
		return false
	case <-s.ending:
		return false
	}
}

// handleEvents acts on what happens in a window until it is gone, or Close. It returns
// whether the window was ever there.
func (s *windowOutput) handleEvents(w *window.Window) (started bool) {
	updater := newWindowUpdater(s, w)
	defer updater.ticker.Stop()
	for {
		select {
		case e, ok := <-w.Events():
			if !ok {
				return started
			}
			started = true
			updater.countEvent(e)
			s.handleEvent(w, e)
		case <-updater.ticker.C:
			updater.updateFigures()
		case <-s.noticed:
			updater.wake()
		case <-s.closing:
			return started
		}
	}
}

// handleEvent acts on what the user did.
func (s *windowOutput) handleEvent(w *window.Window, e window.Event) {
	switch e.Kind {
	case window.Shown:
		s.noteShown(w, e)
	case window.Snapshot:
		s.takeSnapshot(w, e)
	case window.Record:
		s.toggleRecording(w)
	case window.SetControl:
		s.setControl(w, e)
	case window.Meter:
		s.watchLoudness(w, e.On)
	case window.Mute:
		s.toggleMute(w)
	case window.Confirm:
		s.confirmPairing(w)
	case window.Quit:
		s.handleQuit()
	}
}

// noteShown counts a frame that was shown.
func (s *windowOutput) noteShown(w *window.Window, e window.Event) {
	s.shown(&e.At, e.ShownAt)
	if captured := e.At[capture.Captured]; !captured.IsZero() {
		w.AddLatency(e.ShownAt.Sub(captured))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history.noteShown(e.Sequence, e.At[capture.Captured])
}

func (s *windowOutput) handleQuit() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end(nil)
}

// toggleRecording begins or ends a recording.
func (s *windowOutput) toggleRecording(w *window.Window) {
	if s.actions.toggleRecording == nil {
		w.Notice("Nothing to record to: start tbcam-view with --record")
		return
	}
	text, err := s.actions.toggleRecording()
	if err != nil {
		s.log.Warn(err.Error())
		text = err.Error()
	}
	w.Notice(capitalizeFirst(text))
}

// confirmPairing confirms the sender that is being paired.
func (s *windowOutput) confirmPairing(w *window.Window) {
	if !s.actions.confirmPairing() {
		w.Notice("No sender waits to be confirmed")
	}
}

func (s *windowOutput) setControl(w *window.Window, e window.Event) {
	s.actions.setControl(e.Control, e.Value, func(err error) { w.Notice(capitalizeFirst(err.Error())) })
}

// TakeReceived implements sink.ReceivedTaker: a snapshot may be of a JPEG as it came.
func (s *windowOutput) TakeReceived(f *capture.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		f.Release()
		return
	}
	s.history.addReceived(f)
}

// Present takes over the reference. It returns no error but sink.ErrDone.
func (s *windowOutput) Present(f *capture.Frame) error {
	if f.Format.IsAudio() {
		s.hearBlock(f)
		return nil
	}
	s.mu.Lock()
	w, closed := s.window, s.closed
	s.history.addPresented(f.Retain())
	s.last = time.Now()
	if w == nil {
		s.missed++
	} else if s.stalled {
		s.stalled = false
		w.SetMessage(s.text)
		s.updateTitle()
	}
	s.stalled = false
	s.mu.Unlock()
	switch {
	case closed:
		f.Release()
		return sink.ErrDone
	case w == nil:
		f.Release()
		return nil
	}
	if err := w.Present(f); err != nil { // if the window is gone, keep knows what to do
		s.log.Debug("frame not shown", "err", err)
	}
	return nil
}

// Close closes the window.
func (s *windowOutput) Close() error {
	close(s.closing)
	s.kept.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.history.releaseAll()
	return nil
}

// takeSnapshot writes the frame that the window shows to new files.
func (s *windowOutput) takeSnapshot(w *window.Window, e window.Event) {
	s.mu.Lock()
	s.history.noteShown(e.Sequence, e.At[capture.Captured])
	shown, camera := s.history.currentPair(), s.mode
	s.mu.Unlock()
	if shown.raw == nil {
		w.Notice("No frame for a snapshot yet")
		return
	}
	jpeg := shown.jpeg
	if !camera.Pixel.Compressed() { // it is tbcam's own
		jpeg = nil
	}
	s.kept.Go(func() {
		defer shown.release()
		w.Notice(capitalizeFirst(s.saveSnapshot(shown.raw, jpeg)))
	})
}

// saveSnapshot writes a snapshot and returns a notice, which names the files without
// their directory.
func (s *windowOutput) saveSnapshot(raw, jpeg *capture.Frame) string {
	base, err := filepath.Abs(time.Now().Format("tbcam-20060102-150405.000"))
	if err == nil {
		err = snapshot.Save(base, raw, jpeg)
	}
	if err != nil {
		s.log.Warn(err.Error())
		return err.Error()
	}
	names := ".png"
	if jpeg != nil {
		names += " and .jpg"
	}
	s.log.Info("saved " + base + names)
	return "saved " + filepath.Base(base) + names
}

// ModeChanged implements sink.ModeListener.
func (s *windowOutput) ModeChanged(camera string, mode capture.Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.camera, s.mode = camera, mode
	s.updateTitle()
}

// ControlsChanged implements sink.ControlsListener.
func (s *windowOutput) ControlsChanged(controls []capture.Control) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controls = controls
	if s.window != nil {
		s.window.SetControls(controls)
	}
}

// recordingChanged implements recordingListener.
func (s *windowOutput) recordingChanged(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on == s.recording {
		return
	}
	s.recording = on
	if s.window != nil {
		s.window.SetRecording(on)
	}
}

// updateTitle has the window show its title, if that has changed. s.mu is held.
func (s *windowOutput) updateTitle() {
	if title := s.titleNow(); s.window != nil && title != s.title {
		s.title = title
		s.window.SetTitle(title)
	}
}

// titleNow returns the title that the window should have. s.mu is held.
func (s *windowOutput) titleNow() string {
	if s.camera == "" {
		return "tbcam"
	}
	rate := "no signal"
	switch {
	case s.text != "" || s.stalled:
	case s.fps > 0:
		rate = fmt.Sprintf("%.0f fps", s.fps)
	default:
		rate = fmt.Sprintf("%.4g fps", s.mode.Rate.FPS())
	}
	return fmt.Sprintf("%s, %v %dx%d, %s - tbcam", s.camera, s.mode.Pixel, s.mode.Width, s.mode.Height, rate)
}

// Notice implements sink.Noticer: a heading over the frame, and below it lines of
// detail.
func (s *windowOutput) Notice(n sink.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.stalled = messageOf(n), false
	if s.window != nil {
		s.window.SetMessage(s.text)
	}
	s.updateTitle()
	select {
	case s.noticed <- struct{}{}:
	default:
	}
}

// messageOf returns a notice as window.SetMessage takes it.
func messageOf(n sink.Notice) string { return strings.Trim(n.Heading+"\n"+n.Detail, "\n") }

// A camera that is on and sends nothing for stall, or for some periods
// of its frames, is worth a message.
const (
	stall        = 3 * time.Second
	stallPeriods = 5
)

// checkStall shows that frames stopped coming for no known reason.
func (s *windowOutput) checkStall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := stall
	if fps := s.mode.Rate.FPS(); fps > 0 {
		patience = max(patience, time.Duration(stallPeriods/fps*float64(time.Second)))
	}
	if !s.mayStall() || time.Since(s.last) < patience {
		return
	}
	s.stalled = true
	s.window.SetMessage(messageOf(noSignalSince("the camera is on but sends no frames", s.last)))
	s.updateTitle()
}

// mayStall reports whether frames should be coming. s.mu is held.
func (s *windowOutput) mayStall() bool {
	return s.window != nil && !s.stalled && s.text == "" && !s.last.IsZero()
}

// Superseded implements sink.Superseder: it counts frames that the window never saw.
func (s *windowOutput) Superseded() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window == nil {
		return s.missed
	}
	return s.missed + s.window.Stats().Superseded
}

// setControlFromWindow has a control set, and reports why where that is not done.
func (b *bridge) setControlFromWindow(id uint32, value int64, failed func(error)) {
	if b.far.Controls().Locked {
		failed(errors.New("the sender does not allow changing them (tbcam-send --no-remote-control)"))
		return
	}
	b.setControl(capture.Setting{ID: id, Value: value}, func(_ capture.Setting, err error) {
		if err != nil && !errors.Is(err, transport.ErrSuperseded) { // by the next move of a slider
			failed(err)
		}
	})
}
