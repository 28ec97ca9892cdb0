package record

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/container"
)

// file is the one that is being written.
type file struct {
	container.Writer
	path   string      // "" for a stream
	made   fs.FileInfo // what the path named then
	part   int
	format capture.Format
	start  time.Time // of its first frame
	end    time.Time // of its last one
	frames uint64
	noted  bool // what is missing before the next one
}

// captureTime is the time of a frame; plain MJPEG has only one of arrival.
func captureTime(f *capture.Frame) time.Time { return cmp.Or(f.Time, f.At[capture.Received]) }

// openFile begins the file that e is the first frame of.
func (r *Recorder) openFile(e entry) error {
	start := captureTime(e.frame)
	o := container.Options{Kind: r.o.Kind, Format: e.frame.Format, Audio: r.sound.format, Force: r.o.Force}
	if r.o.About != nil {
		o.Tags, o.Rate = r.o.About()
	}
	o.Tags.Start = r.wall(start)
	if r.o.Every > 0 {
		o.Rate = capture.Rate{Num: filmRate, Den: 1}
	}
	f := &file{part: e.part, format: e.frame.Format, start: start, end: start}
	var err error
	if r.o.Out != nil {
		f.Writer, err = container.Stream(r.o.Out, o)
	} else {
		err = r.createFile(f, o)
	}
	if err == nil {
		r.file, r.newest = f, f.path
		r.sound.beginFile(start)
		r.noteFile(f.path)
	}
	return err
}

// describeFile returns in a line what the file has, such as "recorded a.mkv: 0:04, 60 frames,
// 570 kB".
func (r *Recorder) describeFile() string {
	length := r.file.end.Sub(r.file.start)
	if r.o.Every > 0 {
		length = time.Duration(r.file.frames) * time.Second / filmRate
	}
	seconds := int(length.Round(time.Second).Seconds())
	return fmt.Sprintf("recorded %s: %d:%02d, %d frames, %s", cmp.Or(r.file.path, r.o.Path), seconds/60, seconds%60,
		r.file.frames, humanize.Bytes(uint64(r.file.Size())))
}

// createFile makes the file that comes next.
func (r *Recorder) createFile(f *file, o container.Options) error {
	err := r.names.createNext(o.Tags.Start, func(path string, force bool) (err error) {
		o.Force = force
		f.path = path
		f.Writer, err = r.create(path, o)
		return err
	})
	switch {
	case errors.Is(err, container.ErrBusy), isAny(err, badNames...):
		return fatal{err} // one that is busy is not to be overwritten as soon as it is complete
	case err != nil:
		return err
	}
	f.made, err = os.Stat(f.path)
	return err
}

// writeEntry writes a frame, after what is missing before it.
func (f *file) writeEntry(e entry, at time.Duration) error {
	if e.gap != (Gap{}) && !f.noted {
		if err := f.Gap(e.gap.Lost, e.gap.String()); err != nil {
			return err
		}
		f.noted = true
	}
	if err := f.Write(e.frame, at); err != nil {
		return err
	}
	f.frames++
	f.noted = false
	f.end = captureTime(e.frame)
	return nil
}

// endsBefore reports whether e belongs to another file.
func (f *file) endsBefore(e entry, limit Limit) bool {
	return f.part != e.part || f.format != e.frame.Format ||
		limit.Time > 0 && captureTime(e.frame).Sub(f.start).Abs() >= limit.Time ||
		limit.Size > 0 && f.frames > 0 && f.Size()+int64(len(e.frame.Data)) > limit.Size
}

// errRemoved: another program removed or moved the file, or the directory it was in.
var errRemoved = errors.New("file was removed while it was recorded")

// checkName reports errRemoved: a file without a name would still take all that is
// written, and lose it.
func (f *file) checkName() error {
	if f.path == "" {
		return nil
	}
	now, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, f.made) {
		return fmt.Errorf("%s: %w", f.path, errRemoved)
	}
	return err
}
