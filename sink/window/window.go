package window

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Errors that callers act on; what Open, Present and Err return wraps them.
var (
	// ErrNoDisplay: there is no X display to open a window on.
	ErrNoDisplay = errors.New("no display for a window")
	// ErrClosed: the user closed the window, or Close was called.
	ErrClosed = errors.New("window is closed")
	// ErrGone: the window's process ended by itself. It can be opened again.
	ErrGone = errors.New("window was closed")
)

// The window's process may take grace to end by itself, until it is killed: the
// viewer is to end within two seconds of a signal. After patience it is thought to
// hang even then.
const (
	grace    = 750 * time.Millisecond
	patience = 15 * time.Second
)

// maxPixels is how many pixels are shared with the window, which keeps several frames:
// as many as a screen of 4K has.
const maxPixels = 4096 * 2160

// Options of a window; the zero value works.
type Options struct {
	Title string
	Path  string       // of tbcam-window; "" to look for it
	Log   *slog.Logger // gets what the window's process writes to stderr; nil discards it

	// Planar returns the planar format in which frames of another one are
	// shown, and Convert writes such a frame into planes of given strides (in
	// bytes). Without them only planar formats can be shown.
	Planar  func(capture.Format) capture.Format
	Convert func(dst [3][]byte, strides [3]int, f *capture.Frame) error
	// Shrink takes over a frame and returns it, or a smaller one in its place, of at
	// most so many pixels. Without it frames of any size are shown, at a cost of
	// memory in both processes.
	Shrink func(f *capture.Frame, pixels int) (*capture.Frame, error)
}

// Window is a window on the screen. Its methods may be called from any
// goroutine, and none waits for the window's process but Close.
type Window struct {
	options Options
	conn    *shm.Conn
	cmd     *exec.Cmd
	stderr  *stderr
	out     *outbox
	events  chan Event
	closing chan struct{} // closed by Close
	sent    chan struct{} // closed by send when it ends
	done    chan struct{} // closed by watch, last of all
	once    sync.Once

	mu       sync.Mutex
	slots    *shm.Writer    // nil before the first frame and at the end
	format   capture.Format // of the frames in the slots
	pending  pendingFrames
	showing  pendingFrame      // that was shown last
	controls []capture.Control // that the window got last
	stats    Stats
	err      error // why the window is gone
}

// Stats counts frames since Open.
type Stats struct {
	Presented  uint64 // handed over by Present
	Superseded uint64 // of these, not seen by the window before the next one came
	Shown      uint64 // of these, reported as shown
}

// Open starts the window's process and returns immediately; the window appears a
// moment later, or its Events end and Err returns why. The caller closes it.
func Open(o Options) (*Window, error) {
	path, err := findProgram(o.Path)
	if err != nil {
		return nil, err
	}
	if err := CheckDisplay(); err != nil {
		return nil, err
	}
	conn, child, err := shm.Pair()
	if err != nil {
		return nil, fmt.Errorf("open window: %w", err)
	}
	defer child.Close()
	w := newWindow(o, conn)
	w.cmd = exec.Command(path)
	w.cmd.ExtraFiles = append(w.cmd.ExtraFiles, child)
	w.cmd.Stderr = w.stderr
	w.cmd.WaitDelay = grace
	if err := w.cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open window: %w", err)
	}
	w.SetTitle(o.Title)
	go w.awaitEnd()
	go w.sendUpdates()
	return w, nil
}

func newWindow(o Options, conn *shm.Conn) *Window {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Planar == nil {
		o.Planar = planarFormat
	}
	if o.Convert == nil {
		o.Convert = copyPlanes
	}
	if o.Shrink == nil {
		o.Shrink = func(f *capture.Frame, _ int) (*capture.Frame, error) { return f, nil }
	}
	return &Window{
		options: o,
		conn:    conn,
		stderr:  &stderr{log: o.Log},
		out:     newOutbox(),
		events:  make(chan Event, eventQueue),
		closing: make(chan struct{}),
		sent:    make(chan struct{}),
		done:    make(chan struct{}),
	}
}

// Present takes over a reference of a raw frame and shows it, unless a newer
// one comes before the window takes it. It copies the frame and does not wait.
// When the window is gone it returns what Err returns.
func (w *Window) Present(f *capture.Frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		f.Release()
		return w.err
	}
	f, err := w.options.Shrink(f, maxPixels)
	if err != nil {
		return fmt.Errorf("show a frame: %w", err)
	}
	defer f.Release()
	if err := w.writeSlot(f); err != nil {
		return fmt.Errorf("show %v: %w", f.Format, err)
	}
	superseded, err := w.slots.Publish(w.pending.addFrame(f))
	if err != nil {
		w.endLocked(fmt.Errorf("%w: %w", ErrGone, err))
		_ = w.cmd.Process.Kill() // fails only if it has ended already
		return w.err
	}
	w.stats.Presented++
	if superseded {
		w.stats.Superseded++
	}
	w.out.putChange(func(u *shm.Update) { u.Frame = true })
	return nil
}

// writeSlot writes a frame to the next slot.
func (w *Window) writeSlot(f *capture.Frame) error {
	if err := w.provideSlots(w.options.Planar(f.Format)); err != nil {
		return err
	}
	return w.options.Convert(w.slots.Next(), w.slots.Strides(), f)
}

// provideSlots provides new slots when the format differs from that of the last frame.
func (w *Window) provideSlots(format capture.Format) error {
	if w.slots != nil && format == w.format {
		return nil
	}
	slots, memory, err := shm.NewWriter(format)
	if err != nil {
		return err
	}
	w.freeSlots()
	w.slots, w.format = slots, format
	w.out.putFormat(format, memory)
	return nil
}

func (w *Window) freeSlots() {
	if w.slots == nil {
		return
	}
	if err := w.slots.Close(); err != nil {
		w.options.Log.Error("window", "error", err)
	}
	w.slots = nil
}

// Stats returns the counts so far.
func (w *Window) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

// Err returns why the window is gone, nil while it is there: ErrClosed, or an
// error that wraps ErrGone and has the cause.
func (w *Window) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close closes the window and waits for its process to end, which is killed if
// it takes too long. It may be called twice.
func (w *Window) Close() error {
	w.once.Do(func() {
		w.noteEnd(ErrClosed)
		close(w.closing)
		w.conn.Close()
	})
	select {
	case <-w.done:
		return nil
	case <-time.After(patience): // not even SIGKILL helps against a hung driver
		return fmt.Errorf("close window: process %d does not end", w.cmd.Process.Pid)
	}
}

// noteEnd records why the window is gone, if nothing did before, and takes the slots
// back.
func (w *Window) noteEnd(reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endLocked(reason)
}

func (w *Window) endLocked(reason error) {
	if w.err == nil {
		w.err = reason
	}
	w.freeSlots()
}

// sendUpdates passes the updates on until the connection ends.
func (w *Window) sendUpdates() {
	defer close(w.sent)
	for range w.out.ready {
		update, memory := w.out.takeUpdate()
		err := w.conn.Send(update, memory)
		if memory != nil {
			memory.Close()
		}
		switch {
		case err == nil:
		case isDisconnected(err):
			return // watch finds out why, if it is not Close
		default:
			w.options.Log.Warn("window", "err", err)
			w.conn.Close()
			return
		}
	}
}

// isDisconnected reports whether an error of Send means that either end of the
// connection is closed.
func isDisconnected(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}

// awaitEnd receives until the window's process ends or violates the protocol, and
// waits for its end.
func (w *Window) awaitEnd() {
	defer close(w.done)
	defer close(w.events)
	limit := grace
	if err := w.receiveReports(); err != nil {
		w.noteEnd(fmt.Errorf("%w: %w", ErrGone, err))
		limit = 0
	}
	w.conn.Close()
	w.out.closeReady()
	<-w.sent
	killer := time.AfterFunc(limit, func() { _ = w.cmd.Process.Kill() })
	defer killer.Stop()
	err := w.cmd.Wait()
	w.noteEnd(fmt.Errorf("%w: %s", ErrGone, w.stderr.endCause(err)))
}
