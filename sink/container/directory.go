package container

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/capture"
)

const (
	timesFile = "frames.csv"
	frameFile = "%08d.jpg" // from 1 on, as ffmpeg, GStreamer and mpv read them
	// maxUnsynced bounds the frames that are not known to be on the disk.
	maxUnsynced = 1024
)

// timesHeader names the columns: seconds since the first frame, the time of
// capture (RFC 3339, UTC), and what is missing before the frame.
var timesHeader = []string{"file", "seconds", "captured", "gap"}

var frameName = regexp.MustCompile(`^[0-9]{8}\.jpg$`)

// directory is a Writer. A frame is named in frames.csv once it is whole.
type directory struct {
	path     string
	made     bool  // it was not there
	times    *file // frames.csv
	audio    *wav  // nil where there is none
	lines    bytes.Buffer
	start    time.Time
	stamps   stamps
	number   int      // of frames
	size     int64    // of them, bytes
	unsynced []string // files
	gap      string   // text of the gap before the next frame
}

// createDirectory makes a directory, or takes one that has no recording in it.
func createDirectory(path string, o Options) (Writer, error) {
	path = filepath.Clean(path)
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	d := &directory{path: path, made: err == nil, start: o.Tags.Start, stamps: newStamps(time.Microsecond)}
	if old, err := listFrames(path); err != nil || len(old) > 0 && !o.Force {
		return nil, cmp.Or(err, fmt.Errorf("%s: frames of another recording: %w", path, fs.ErrExist))
	}
	if d.times, err = createFile(filepath.Join(path, timesFile), o.Force); err != nil {
		return nil, errors.Join(err, d.removeMade())
	}
	if err := d.beginRecording(o); err != nil {
		return nil, errors.Join(err, d.discardFiles())
	}
	return d, nil
}

// beginRecording removes frames of before, once the lock is held, and begins the audio.
func (d *directory) beginRecording(o Options) error {
	old, err := listFrames(d.path)
	for _, name := range old {
		err = cmp.Or(err, os.Remove(filepath.Join(d.path, name)))
	}
	if err != nil {
		return err
	}
	if o.Audio.Channels > 0 {
		d.audio, err = createWAV(filepath.Join(d.path, audioFile), o.Audio, o.Force)
	} else if err = os.Remove(filepath.Join(d.path, audioFile)); errors.Is(err, fs.ErrNotExist) || !o.Force {
		err = nil
	}
	if err != nil {
		return err
	}
	d.addLine(timesHeader...)
	return d.Flush()
}

// listFrames returns the names of a recording's frames, in order.
func listFrames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if frameName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// addLine adds a line to those that wait. A bytes.Buffer takes all.
func (d *directory) addLine(fields ...string) {
	w := csv.NewWriter(&d.lines)
	_ = w.Write(fields)
	w.Flush()
}

func (d *directory) Write(f *capture.Frame, t time.Duration) error {
	if len(d.unsynced) == maxUnsynced {
		if err := d.Sync(); err != nil {
			return err
		}
	}
	name := fmt.Sprintf(frameFile, d.number+1)
	if err := writeFrameFile(filepath.Join(d.path, name), f.Data); err != nil {
		return err
	}
	d.number++
	d.size += int64(len(f.Data))
	d.unsynced = append(d.unsynced, name)
	at := d.stamps.unitsOf(t)
	d.stamps.stepTo(at)
	d.addLine(name, formatSeconds(at), d.start.Add(t).UTC().Format("2006-01-02T15:04:05.000000Z"), d.gap)
	d.gap = ""
	return nil
}

// formatSeconds returns microseconds as seconds.
func formatSeconds(us int64) string { return strconv.FormatFloat(float64(us)/1e6, 'f', 6, 64) }

// writeFrameFile writes a file that does not exist, all of it or none.
func writeFrameFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = cmp.Or(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// WriteAudio writes to a file beside the frames.
func (d *directory) WriteAudio(samples []byte) error {
	if d.audio == nil {
		return ErrNoAudio
	}
	return d.audio.addSamples(samples)
}

func (d *directory) Gap(lost capture.Lost, text string) error {
	d.gap = describeGap(d.gap, lost, text)
	return nil
}

func (d *directory) Size() int64 {
	size := d.size + d.times.size + int64(d.lines.Len())
	if d.audio != nil {
		size += d.audio.size + int64(len(d.audio.gathered))
	}
	return size
}

// Flush writes the lines and the audio: the frames are written already.
func (d *directory) Flush() error {
	if d.audio != nil {
		if err := d.audio.Flush(); err != nil {
			return err
		}
	}
	if err := d.times.appendParts(d.lines.Bytes()); err != nil {
		return err
	}
	d.lines.Reset()
	return nil
}

func (d *directory) Sync() error {
	if err := d.Flush(); err != nil {
		return err
	}
	if err := d.syncFrames(); err != nil {
		return err
	}
	d.unsynced = d.unsynced[:0]
	if d.audio != nil {
		if err := d.audio.Sync(); err != nil {
			return err
		}
	}
	return cmp.Or(d.times.Sync(), syncDir(d.path), d.syncName())
}

// syncName has the name of the directory on the disk.
func (d *directory) syncName() error {
	if d.times.named {
		return nil
	}
	err := syncDir(filepath.Dir(d.path))
	d.times.named = err == nil
	return err
}

// syncFrames has them on the disk. The writing of all is under way before it
// waits for the first: the others then take the same commit of a journal.
func (d *directory) syncFrames() error {
	const start = 2 // SYNC_FILE_RANGE_WRITE, linux/fs.h
	for _, sync := range []func(fd int) error{
		func(fd int) error { return syscall.SyncFileRange(fd, 0, 0, start) },
		syscall.Fdatasync,
	} {
		for _, name := range d.unsynced {
			f, err := os.Open(filepath.Join(d.path, name))
			if err != nil {
				return err
			}
			if err := cmp.Or(sync(int(f.Fd())), f.Close()); err != nil {
				return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
			}
		}
	}
	return nil
}

func (d *directory) Close() error {
	if d.number == 0 {
		return d.discardFiles()
	}
	err := d.Sync()
	if d.audio != nil {
		err = cmp.Or(err, d.audio.Close())
	}
	return cmp.Or(err, d.times.Close())
}

// discardFiles removes what Create has made.
func (d *directory) discardFiles() error {
	if d.audio != nil {
		if err := d.audio.discardFile(); err != nil {
			return err
		}
	}
	return cmp.Or(d.times.discardFile(), d.removeMade())
}

// removeMade removes the directory, if it was not there before.
func (d *directory) removeMade() error {
	if !d.made {
		return nil
	}
	return os.Remove(d.path)
}
