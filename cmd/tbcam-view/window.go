package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
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

// How often the window is told what has changed: controls and recording, and
// the figures in the statistics and the title.
const (
	lookEvery   = 200 * time.Millisecond
	statusEvery = time.Second
)

// windowHooks is what the window's user can do to the rest. None of them waits,
// and any may be nil.
type windowHooks struct {
	recordToggle func() (string, error)   // begins or ends a recording, and says so
	recording    func() bool              // whether there is one
	controls     func() []capture.Control // of the camera, as they are known
	// setControl has a control set. failed may be called later, from any goroutine.
	setControl func(id uint32, value int64, failed func(error))
}

// windowSink keeps a window open: it acts on its keys, and opens it again, with
// what it showed, when its process has ended.
type windowSink struct {
	viewer  *viewer
	closing chan struct{}
	kept    sync.WaitGroup // keep, and snapshots that are being written

	mu      sync.Mutex
	hooks   windowHooks
	window  *window.Window // nil while there is none
	closed  bool           // its user closed it
	shots   snapshotHistory
	mode    transport.Mode
	text    string    // over the picture
	stalled bool      // no picture comes, although nothing is wrong: so there is another text
	last    time.Time // of the picture that was presented last
	missed  uint64    // superseded in windows that are gone, or presented to none
}

func newWindowSink(v *viewer) *windowSink {
	return &windowSink{viewer: v, closing: make(chan struct{})}
}

// connect says what the window's keys do.
func (s *windowSink) connect(h windowHooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = h
}

func (s *windowSink) connected() windowHooks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hooks
}

// opened is a window with what converts its pictures.
type opened struct {
	*window.Window
	converter *codec.Converter
}

// open implements the opening of sink.Fanout.Add.
func (s *windowSink) open() (sink.Sink, error) {
	w, err := s.openWindow()
	if err != nil {
		return nil, err
	}
	s.kept.Go(func() { s.keep(w) })
	return s, nil
}

// openWindow opens a window that shows what the last one did.
func (s *windowSink) openWindow() (opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	converter := codec.NewConverter()
	w, err := window.Open(window.Options{
		Title: s.title(0), Log: s.viewer.log,
		Planar: codec.PlanarFormat, Convert: converter.Planar, RGBA: converter.RGBA,
		Shrink: func(f *capture.Frame, pixels int) (*capture.Frame, error) {
			return converter.Shrink(f, s.viewer.pool, pixels)
		},
	})
	if err != nil {
		converter.Close()
		return opened{}, err
	}
	w.SetMessage(s.text)
	s.stalled = false
	if f := s.shots.newest(); f != nil {
		_ = w.Present(f) // what follows the window finds out why
	}
	s.window = w
	return opened{w, converter}, nil
}

// keep follows the window, and those that are opened after it, until its user
// closes it, none can be opened, or Close.
func (s *windowSink) keep(w opened) {
	said := ""
	for failures := 1; ; failures++ {
		started, err := s.attempt(w)
		w = opened{}
		if errors.Is(err, window.ErrClosed) {
			return
		}
		if started {
			failures = 1
		}
		if failures >= attempts && s.viewer.sinks() == 1 {
			s.viewer.fail(fmt.Errorf("%w; nothing else was asked for: see --loopback and --record", err))
			return
		}
		if !s.pause(failures) {
			return
		}
		if err.Error() != said {
			said = err.Error()
			s.viewer.log.Warn(said, "sink", "window")
		}
	}
}

// attempt follows a window, or a new one, until it is gone. It returns whether
// the window was ever there, and why it is not any more.
func (s *windowSink) attempt(w opened) (started bool, err error) {
	if w.Window == nil {
		if w, err = s.openWindow(); err != nil {
			return false, err
		}
	}
	started = s.follow(w.Window)
	s.mu.Lock()
	s.window = nil
	s.missed += w.Stats().Superseded
	s.mu.Unlock()
	defer w.converter.Close()
	closing := w.Close()
	return started, cmp.Or(w.Err(), closing)
}

// pause waits before the next attempt; false means that there is none, because the
// run is ending: a signal may have reached the window's process, too.
func (s *windowSink) pause(failures int) bool {
	wait := reopenWindow
	if failures >= attempts {
		wait = reopenHopeless
	}
	select {
	case <-time.After(wait):
		return true
	case <-s.closing:
		return false
	case <-s.viewer.ending:
		return false
	}
}

// follow acts on what happens in a window until it is gone, or Close. It returns
// whether the window was ever there.
func (s *windowSink) follow(w *window.Window) (started bool) {
	look, status := time.NewTicker(lookEvery), time.NewTicker(statusEvery)
	defer look.Stop()
	defer status.Stop()
	told := windowUpdater{sink: s, window: w}
	for {
		select {
		case e, ok := <-w.Events():
			if !ok {
				return started
			}
			started = true
			told.count(e)
			s.event(w, e)
		case <-look.C:
			told.look()
		case <-status.C:
			told.figures()
		case <-s.closing:
			return started
		}
	}
}

func (s *windowSink) event(w *window.Window, e window.Event) {
	switch e.Kind {
	case window.Shown:
		s.shown(w, e)
	case window.Snapshot:
		s.snapshot(w, e)
	case window.Record:
		s.record(w)
	case window.SetControl:
		s.setControl(w, e)
	case window.Quit:
		s.quit()
	}
}

func (s *windowSink) shown(w *window.Window, e window.Event) {
	s.viewer.meter.Add(&e.At, e.ShownAt)
	if captured := e.At[capture.Captured]; !captured.IsZero() {
		w.AddLatency(e.ShownAt.Sub(captured))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shots.seen(e.Sequence, e.At[capture.Captured])
}

func (s *windowSink) quit() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.viewer.demand.need(false)
	if !s.viewer.end() {
		s.viewer.log.Info("the window was closed; the rest goes on")
	}
}

// record begins or ends a recording.
func (s *windowSink) record(w *window.Window) {
	toggle := s.connected().recordToggle
	if toggle == nil {
		w.Notice("nothing to record to: tbcam-view was started without --record")
		return
	}
	text, err := toggle()
	if err != nil {
		s.viewer.log.Warn(err.Error())
		text = err.Error()
	}
	w.Notice(text)
}

func (s *windowSink) setControl(w *window.Window, e window.Event) {
	if set := s.connected().setControl; set != nil { // else the window shows no controls
		set(e.Control, e.Value, func(err error) { w.Notice(err.Error()) })
	}
}

// received takes over the reference of a frame as it came.
func (s *windowSink) received(f *capture.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		f.Release()
		return
	}
	s.shots.received(f)
}

// Present takes over the reference. It returns no error but sink.ErrDone.
func (s *windowSink) Present(f *capture.Frame) error {
	s.mu.Lock()
	w, closed := s.window, s.closed
	s.shots.presented(f.Retain())
	s.last = time.Now()
	if w == nil {
		s.missed++
	} else if s.stalled {
		w.SetMessage(s.text)
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
		s.viewer.log.Debug("picture not shown", "why", err)
	}
	return nil
}

// Close closes the window.
func (s *windowSink) Close() error {
	close(s.closing)
	s.kept.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.shots.release()
	return nil
}

// snapshot writes the picture that the window shows to new files.
func (s *windowSink) snapshot(w *window.Window, e window.Event) {
	s.mu.Lock()
	s.shots.seen(e.Sequence, e.At[capture.Captured])
	shot, camera := s.shots.current(), s.mode.Source
	s.mu.Unlock()
	if shot.raw == nil {
		w.Notice("there is no picture for a snapshot yet")
		return
	}
	jpeg := shot.jpeg
	if !camera.Pixel.Compressed() { // it is tbcam's own
		jpeg = nil
	}
	s.kept.Go(func() {
		defer shot.release()
		w.Notice(s.save(shot.raw, jpeg))
	})
}

// save writes a snapshot and returns what to say about it.
func (s *windowSink) save(raw, jpeg *capture.Frame) string {
	base, err := filepath.Abs(time.Now().Format("tbcam-20060102-150405.000"))
	if err == nil {
		err = snapshot.Save(base, raw, jpeg)
	}
	if err != nil {
		s.viewer.log.Warn(err.Error())
		return err.Error()
	}
	text := "saved " + base + ".png"
	if jpeg != nil {
		text += " and .jpg"
	}
	s.viewer.log.Info(text)
	return text
}

// setMode says which camera the pictures come from.
func (s *windowSink) setMode(mode transport.Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

// title returns the window's, with the frames per second that are shown, if known.
// s.mu is held.
func (s *windowSink) title(fps float64) string {
	if s.mode.Camera == "" {
		return "tbcam"
	}
	m := s.mode.Source
	rate := "no signal"
	switch {
	case s.text != "" || s.stalled:
	case fps > 0:
		rate = fmt.Sprintf("%.0f fps", fps)
	default:
		rate = fmt.Sprintf("%.4g fps", m.Rate.FPS())
	}
	return fmt.Sprintf("%s, %v %dx%d, %s - tbcam", s.mode.Camera, m.Pixel, m.Width, m.Height, rate)
}

// message shows a text over the picture: a heading, and below it lines of detail.
func (s *windowSink) message(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.stalled = text, false
	if s.window != nil {
		s.window.SetMessage(text)
	}
}

// A camera that is said to be on and sends nothing for stall, or for some periods
// of its frames, is worth a message.
const (
	stall        = 3 * time.Second
	stallPeriods = 5
)

// checkStall says so when pictures stop coming and nobody said why.
func (s *windowSink) checkStall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := stall
	if fps := s.mode.Source.Rate.FPS(); fps > 0 {
		patience = max(patience, time.Duration(stallPeriods/fps*float64(time.Second)))
	}
	if s.window == nil || s.stalled || s.text != "" || s.last.IsZero() || time.Since(s.last) < patience {
		return
	}
	s.stalled = true
	s.window.SetMessage(noSignalSince("the camera is on but sends no pictures", s.last))
}

// gone returns what the window says when the session ended.
func gone(err error) string {
	why := err.Error()
	if errors.Is(err, io.EOF) {
		why = "without a goodbye"
	}
	return noSignal("the sender is gone (" + why + "); " + waitingForSender)
}

// noSignal returns what the window says while there is no picture.
func noSignal(why string) string { return noSignalSince(why, time.Now()) }

func noSignalSince(why string, since time.Time) string {
	return "No signal\n" + why + "\nsince " + since.Format(time.TimeOnly)
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
