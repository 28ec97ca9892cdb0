package record

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/record/container"
)

const (
	defaultQueueBytes = 256 << 20
	// queueFrames bounds the queue for small pictures: over two minutes at 30 fps.
	queueFrames = 4096
	// syncInterval is the most that a killed process loses.
	syncInterval = time.Second
)

// Options are the choices of a user and what is told about the pictures.
type Options struct {
	Force bool // overwrite files that exist
	// Origin names the camera and its host for the tags, "" where not known; it is
	// asked when the first picture of a file has come. nil means not known.
	Origin     func() (camera, host string)
	QueueBytes int          // memory for frames that wait for the disk; 0 means 256 MiB
	Log        *slog.Logger // nil means none
}

// Stats counts frames; each one given is in one of Frames, Dropped and Queued.
type Stats struct {
	Frames  uint64 // written: the end of this process does not harm them
	Bytes   uint64 // written with them
	Dropped uint64 // given when the queue was full, or lost by an error
	Queued  int    // wait for the disk
}

// Recorder writes frames to a file, and to further ones when their format
// changes. It is safe for concurrent use, and ends with Close.
//
// Frames wait in a queue that Write fills and Close closes. When it is full the
// newest frame is dropped, since one that was taken is written.
type Recorder struct {
	path   string
	o      Options
	frames chan *capture.Frame
	done   chan struct{} // closed when run has returned

	mu     sync.Mutex
	closed bool
	full   bool // frames were dropped since the queue was last empty
	held   int  // bytes of memory in the queue
	stats  Stats
	err    error // the first one, final

	// Of run alone.
	part    int              // number of the file
	spare   string           // path of a file that is created, but no frame came yet
	file    container.Writer // nil before the first frame and after the last
	format  capture.Format   // of the file
	first   time.Time        // when its first frame was captured
	since   time.Time        // when the first frame that is not written was captured
	flushed int64            // its bytes that are written
	pending int              // its frames that are not
	due     *time.Timer      // of the next flush, whether frames come or not
}

// Create creates the file, whose name ends in .mkv, and starts a recorder.
// Without Options.Force the error for a file that exists wraps fs.ErrExist.
func Create(path string, o Options) (*Recorder, error) {
	r, err := prepare(path, o)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	go r.run()
	return r, nil
}

func prepare(path string, o Options) (*Recorder, error) {
	if !strings.EqualFold(filepath.Ext(path), ".mkv") {
		return nil, fmt.Errorf("%s: only .mkv files can be written", path)
	}
	if err := create(path, o.Force); err != nil {
		return nil, err
	}
	o.QueueBytes = cmp.Or(o.QueueBytes, defaultQueueBytes)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return &Recorder{
		path:   path,
		o:      o,
		frames: make(chan *capture.Frame, queueFrames),
		done:   make(chan struct{}),
		part:   1,
		spare:  path,
		due:    time.NewTimer(syncInterval),
	}, nil
}

// create makes an empty file, so that what is wrong shows before the first frame.
func create(path string, force bool) error {
	existing := os.O_EXCL
	if force {
		existing = os.O_TRUNC
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|existing, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; --force overwrites it", err)
	} else if err != nil {
		return err
	}
	return f.Close()
}

// Write takes over one reference to the frame and does not wait for the disk.
// After a failure it returns that error, which wraps the system's (disk full is
// syscall.ENOSPC), and after Close one that wraps fs.ErrClosed. A frame dropped
// because the queue is full is no error.
func (r *Recorder) Write(f *capture.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		r.drop(f)
		return r.err
	case r.closed:
		r.drop(f)
		return fmt.Errorf("record: %s: %w", r.path, fs.ErrClosed)
	case len(r.frames) == cap(r.frames) || r.held+cap(f.Data) > r.o.QueueBytes:
		r.drop(f)
		r.overflow()
	default:
		r.held += cap(f.Data)
		r.stats.Queued++
		r.frames <- f // there is room, and only Write, locked, takes it
	}
	return nil
}

func (r *Recorder) drop(f *capture.Frame) {
	f.Release()
	r.stats.Dropped++
}

func (r *Recorder) overflow() {
	if !r.full {
		r.o.Log.Warn("the disk is too slow: frames are missing in the recording", "queued", r.stats.Queued)
	}
	r.full = true
}

// Stats returns the counts so far.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Close waits until all frames are written and the file is complete and on the
// disk. It returns the first error of the recording, also when called again.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.frames)
	}
	r.mu.Unlock()
	<-r.done
	return r.err
}

// run is the goroutine that writes.
func (r *Recorder) run() {
	defer close(r.done)
	defer r.due.Stop()
	if err := r.record(); err != nil {
		r.fail(err)
	}
	if err := r.finish(); err != nil {
		r.fail(err)
	}
	// None are left but after an error, which has counted them as dropped.
	for f := range r.frames {
		f.Release()
	}
}

// record writes until Close, or until the first error.
func (r *Recorder) record() error {
	for {
		select {
		case f, open := <-r.frames:
			if !open {
				return nil
			}
			if err := r.put(f); err != nil {
				return err
			}
		case <-r.due.C:
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
}

// put adds a frame to the file it belongs to.
func (r *Recorder) put(f *capture.Frame) error {
	defer r.settle(f)
	captured := cmp.Or(f.Time, f.At[capture.Received], time.Now())
	if r.file == nil || r.format != f.Format {
		if err := r.next(f.Format, captured); err != nil {
			return err
		}
	}
	if captured.Sub(r.since) >= syncInterval {
		if err := r.flush(); err != nil {
			return err
		}
		r.since = captured
	}
	if err := r.file.Write(f, captured.Sub(r.first)); err != nil {
		return err
	}
	r.pending++
	return nil
}

// settle gives back a frame that has left the queue.
func (r *Recorder) settle(f *capture.Frame) {
	size := cap(f.Data)
	f.Release()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held -= size
	r.full = r.full && r.held > 0
}

// next begins a file, and ends the one before.
func (r *Recorder) next(format capture.Format, start time.Time) (err error) {
	if r.file != nil {
		if err := r.finish(); err != nil {
			return err
		}
		if r.spare, err = r.continuation(); err != nil {
			return err
		}
		r.o.Log.Info("the pictures changed: recording into another file", "format", format, "file", r.spare)
	}
	var camera, host string
	if r.o.Origin != nil {
		camera, host = r.o.Origin()
	}
	r.file, err = container.Create(r.spare, container.Options{
		Format: format,
		Tags:   container.Tags{Camera: camera, Host: host, Mode: format.String(), Program: "tbcam", Start: start},
		Force:  true,
	})
	if err != nil {
		return err
	}
	r.spare, r.format, r.first, r.since, r.flushed = "", format, start, start, r.file.Size()
	return nil
}

// continuation creates the next file: name-2.mkv after name.mkv. One that exists
// is stepped over, since stopping a recording that runs would be worse.
func (r *Recorder) continuation() (string, error) {
	ext := filepath.Ext(r.path)
	for {
		r.part++
		path := fmt.Sprintf("%s-%d%s", strings.TrimSuffix(r.path, ext), r.part, ext)
		if err := create(path, r.o.Force); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
}

// flush writes the frames gathered so far.
func (r *Recorder) flush() error {
	r.due.Reset(syncInterval)
	if r.file == nil {
		return nil
	}
	if err := r.file.Flush(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Frames += uint64(r.pending)
	r.stats.Bytes += uint64(r.file.Size() - r.flushed)
	r.stats.Queued -= r.pending
	r.pending, r.flushed = 0, r.file.Size()
	return nil
}

// finish ends the file, if there is one. One without a frame is removed.
func (r *Recorder) finish() (err error) {
	if r.file != nil {
		err = cmp.Or(r.flush(), r.file.Close())
	}
	if r.spare != "" {
		err = cmp.Or(err, os.Remove(r.spare))
	}
	r.file, r.spare = nil, ""
	return err
}

// fail makes the first error final; what was not written by then is lost.
func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.err = fmt.Errorf("record: %w", err)
	r.stats.Dropped += uint64(r.stats.Queued)
	r.stats.Queued = 0
}
