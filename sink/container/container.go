package container

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// Kind is a form of recording.
type Kind int

// The kinds. Matroska holds all formats, the others JPEGs alone.
const (
	Matroska  Kind = iota // RFC 9559, times in milliseconds
	MP4                   // fragmented (ISO/IEC 14496-12), times in microseconds
	AVI                   // constant rate, OpenDML beyond 1 GiB
	MJPEG                 // one JPEG after another, no times
	Directory             // numbered JPEGs, and frames.csv with their times
)

// kinds holds what users type; the first name and extension are the usual ones.
var kinds = [...]struct {
	names      []string
	extensions []string
}{
	Matroska:  {[]string{"mkv", "matroska"}, []string{".mkv"}},
	MP4:       {[]string{"mp4"}, []string{".mp4"}},
	AVI:       {[]string{"avi"}, []string{".avi"}},
	MJPEG:     {[]string{"mjpeg"}, []string{".mjpeg", ".mjpg"}},
	Directory: {[]string{"jpg", "jpeg"}, nil},
}

// ParseKind reads the name of a kind: mkv, mp4, avi, mjpeg, or jpg for a directory.
func ParseKind(name string) (Kind, error) {
	for k := range kinds {
		for _, n := range kinds[k].names {
			if strings.EqualFold(n, name) {
				return Kind(k), nil
			}
		}
	}
	return 0, fmt.Errorf("recording format %q is unknown; known are mkv, mp4, avi, mjpeg and jpg", name)
}

// KindOf returns the kind by the extension of path; one that ends in a slash is a
// Directory. ok is false for any other path.
func KindOf(path string) (kind Kind, ok bool) {
	if strings.HasSuffix(path, "/") {
		return Directory, true
	}
	for k := range kinds {
		for _, e := range kinds[k].extensions {
			if strings.EqualFold(e, filepath.Ext(path)) {
				return Kind(k), true
			}
		}
	}
	return 0, false
}

// String returns the name that ParseKind reads.
func (k Kind) String() string { return kinds[k].names[0] }

// Check reports what keeps frames of a format out of the kind, if anything.
func (k Kind) Check(f capture.Format) error {
	if err := f.Check(); err != nil {
		return err
	}
	if k != Matroska && !f.Pixel.Compressed() {
		return fmt.Errorf("%v %w, not %v", k, ErrJPEGOnly, f.Pixel)
	}
	if !f.Pixel.Compressed() && f.Pixel.Info().Matroska == "" {
		return fmt.Errorf("%v %w for %v", k, ErrNoCode, f.Pixel)
	}
	return nil
}

// Tags describe a recording. What is empty is omitted.
type Tags struct {
	Camera  string
	Host    string    // of the camera
	Mode    string    // of the camera, such as "mjpeg 1920x1080 30 fps"
	Program string    // that records
	Start   time.Time // when the first frame was captured
	Field   capture.Field
}

// CheckAudio reports what keeps audio of a format out of the kind, if anything.
func (k Kind) CheckAudio(a capture.AudioFormat) error {
	if err := a.Check(); err != nil {
		return err
	}
	if k == MJPEG {
		return fmt.Errorf("%v %w", k, ErrNoAudio)
	}
	return nil
}

// Options are what a recording begins with.
type Options struct {
	Kind   Kind
	Format capture.Format      // of all its frames
	Audio  capture.AudioFormat // of a second track; zero is none
	Rate   capture.Rate        // of an AVI, where it is constant; 30 frames a second where not known
	Tags   Tags
	Force  bool // overwrite what exists
}

// check reports what the kind cannot hold.
func (o Options) check() error {
	if err := o.Kind.Check(o.Format); err != nil || o.Audio == (capture.AudioFormat{}) {
		return err
	}
	return o.Kind.CheckAudio(o.Audio)
}

// Writer writes the frames and the audio of one recording. It is not safe for concurrent use.
//
// After an error of Write, Flush or Sync no frame that was taken is lost: what
// the error kept from the file is tried again by the next call.
type Writer interface {
	// Write takes a frame, of a time since the first one of the recording. Times
	// grow; one that does not is put as little as can be after the last. f is not
	// kept. After an error it was not taken.
	Write(f *capture.Frame, t time.Duration) error
	// WriteAudio takes samples, which follow those of before without a gap: the first
	// ones belong to the time of the first frame, and sample n is played n/48000 s later.
	// The two tracks should come within a second of each other. samples is not kept. After
	// an error none of them were taken.
	WriteAudio(samples []byte) error
	// Gap notes that frames are missing before the next one, and why, where the
	// container has a place for it: a chapter, or a line of frames.csv. Counts in
	// lost are of frames, text is any other cause; both may be empty.
	Gap(lost capture.Lost, text string) error
	// Flush hands all to the kernel: what kills the process then harms nothing.
	Flush() error
	// Sync is Flush, and has all on the disk: a loss of power harms nothing.
	Sync() error
	// Size returns the bytes of the recording so far.
	Size() int64
	// Close ends the recording: index, duration, Sync. One without a frame is
	// removed. It returns the first error, and closes in any case.
	Close() error
}

// Create makes the file, or the directory, and locks it. The error for one that
// exists wraps fs.ErrExist, for one that is being recorded ErrBusy.
func Create(path string, o Options) (Writer, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if o.Kind == Directory {
		return createDirectory(path, o)
	}
	f, err := createFile(path, o.Force)
	if err != nil {
		return nil, err
	}
	w, err := openKind(f, o)
	if err != nil {
		return nil, errors.Join(err, f.discardFile())
	}
	return w, nil
}

// Stream writes to what cannot seek, such as standard output: there is no index
// in the end. Closing w is left to the caller.
func Stream(w io.Writer, o Options) (Writer, error) {
	switch o.Kind {
	case AVI, Directory:
		return nil, fmt.Errorf("%v %w", o.Kind, ErrNotStreamable)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return openKind(&file{disk: &pipe{w: w}}, o)
}

// openKind begins a recording of a kind that is one file.
func openKind(f *file, o Options) (Writer, error) {
	switch o.Kind {
	case Matroska:
		return newMatroska(f, o)
	case MP4:
		return newMP4(f, o)
	case AVI:
		return newAVI(f, o)
	}
	return &plain{file: f, gathered: takeBuffer()}, nil
}
