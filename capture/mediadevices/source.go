package mediadevices

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/mediadevices/pkg/driver"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
)

// Times of a driver.
const (
	// firstWithin is how long a driver may take for its first image.
	firstWithin = 10 * time.Second
	// lastWithin is how long Close waits for the image that is being read: pion's own
	// videotest hangs when it is closed during a read.
	lastWithin = 500 * time.Millisecond
	// leaveWithin is how long a read may take to end after the driver was closed.
	leaveWithin = time.Second
)

// ErrStuck is returned by Close when a driver's read does not end. Its goroutine is
// left behind.
var ErrStuck = errors.New("driver does not end its read")

// source is an open driver. It implements capture.Source.
type source struct {
	driver driver.Driver
	state  *sync.Mutex // of Driver
	reader video.Reader
	pool   *capture.Pool
	mode   capture.Mode
	format capture.Format

	box     *capture.Mailbox
	err     error         // why the reader ended; read after box was closed
	left    chan struct{} // closed when the reader has ended
	closing chan struct{}
	close   func() error

	damaged, superseded atomic.Uint64
}

// startSource has an open driver record, and closes it after an error.
func startSource(p driver.Driver, media prop.Media, pool *capture.Pool, state *sync.Mutex) (capture.Source, error) {
	s := &source{
		driver: p, state: state, pool: pool, mode: modeOf(media),
		box: capture.NewMailbox(), left: make(chan struct{}), closing: make(chan struct{}),
	}
	s.close = sync.OnceValue(s.end)
	state.Lock()
	reader, err := p.(driver.VideoRecorder).VideoRecord(media)
	state.Unlock()
	if err != nil { // which closed it
		return nil, fmt.Errorf("start %s: %w", p.Info().Label, err)
	}
	s.reader = reader
	first := make(chan capture.Format, 1)
	go s.read(media.FrameFormat == frame.FormatMJPEG, first)
	select {
	case format, ok := <-first:
		if ok {
			s.format = format
			s.mode.Pixel, s.mode.Width, s.mode.Height = format.Pixel, format.Width, format.Height
			return s, nil
		}
		<-s.left
		err = s.err
	case <-time.After(firstWithin):
		err = capture.ErrNoSignal
	}
	return nil, fmt.Errorf("start %s: %w", p.Info().Label, errors.Join(err, s.Close()))
}

// read puts frames into the mailbox until Close, or an error. It announces the format
// of the first one.
func (s *source) read(jpeg bool, first chan<- capture.Format) {
	defer close(s.left)
	defer s.box.Close()
	defer close(first)
	var format capture.Format
	for sequence := uint32(0); ; sequence++ {
		f, err := s.readFrame(jpeg)
		switch {
		case s.isClosing():
			err = capture.ErrClosed
		case errors.Is(err, errDamaged):
			s.damaged.Add(1)
			continue
		case err == nil && format != capture.Format{} && f.Format != format:
			err = capture.ErrSignalChanged
		}
		if err != nil {
			if f != nil {
				f.Release()
			}
			s.err = err
			return
		}
		f.Sequence = sequence
		if (format == capture.Format{}) {
			format = f.Format
			first <- format
		}
		if s.box.Put(f) {
			s.superseded.Add(1)
		}
	}
}

// readFrame reads an image and copies it: the driver may use its memory again.
func (s *source) readFrame(jpeg bool) (*capture.Frame, error) {
	img, release, err := s.reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, capture.ErrGone
	}
	if err != nil {
		return nil, err
	}
	defer release()
	now := time.Now()
	f, err := copyImage(s.pool, img, jpeg)
	if err == nil { // pion has no time stamps
		f.Time, f.At[capture.Captured], f.At[capture.Dequeued] = now, now, now
	}
	return f, err
}

func (s *source) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// Mode returns the driver's mode, with the size and format of its first image.
func (s *source) Mode() capture.Mode { return s.mode }

// Format returns the format of the first image. Another one ends Read with
// capture.ErrSignalChanged.
func (s *source) Format() capture.Format { return s.format }

// Read waits for the newest image.
func (s *source) Read() (*capture.Frame, error) {
	if s.isClosing() {
		return nil, capture.ErrClosed
	}
	select {
	case f, ok := <-s.box.Frames():
		if !ok {
			return nil, s.err
		}
		return f, nil
	case <-s.closing:
		return nil, capture.ErrClosed
	}
}

// Lost counts images that could not be used, and those that came before they were read.
func (s *source) Lost() capture.Lost {
	return capture.Lost{Damaged: s.damaged.Load(), Superseded: s.superseded.Load()}
}

// Close ends Read and closes the driver.
func (s *source) Close() error { return s.close() }

func (s *source) end() error {
	close(s.closing)
	s.leaves(lastWithin)
	s.state.Lock()
	err := s.driver.Close()
	s.state.Unlock()
	if !s.leaves(leaveWithin) {
		return cmp.Or(err, ErrStuck)
	}
	s.box.Discard()
	return err
}

// leaves reports whether the reader ends in time.
func (s *source) leaves(within time.Duration) bool {
	select {
	case <-s.left:
		return true
	case <-time.After(within):
		return false
	}
}
