package container

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tbcam/tbcam/codec/jfif"
)

// maxLine bounds a line of frames.csv, in bytes.
const maxLine = 4 << 10

// directorySurvey makes frames and frames.csv agree.
type directorySurvey struct {
	report  Report
	path    string
	times   *file // its size is behind the last line that stays
	length  int64 // of frames.csv, bytes
	lines   []line
	before  string // the frame of the line before these
	changed bool
}

// line is one of frames.csv.
type line struct {
	name    string
	seconds string
	start   int64
}

// repairDirectory gives a frame that is whole but has no line in frames.csv one,
// without a time, and removes frames that are not whole.
func repairDirectory(path string) (Report, error) {
	f, err := openLocked(filepath.Join(path, timesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, fmt.Errorf("%s: %w", path, ErrNotRecording)
	} else if err != nil {
		return Report{}, err
	}
	defer f.Close()
	s := &directorySurvey{
		report: Report{Kind: Directory},
		path:   filepath.Clean(path),
		times:  &file{disk: osFile{f}, path: f.Name(), seekable: true},
	}
	info, err := f.Stat()
	if err != nil {
		return Report{}, err
	}
	s.length = info.Size()
	if err := s.readLines(f); errors.Is(err, ErrNotRecording) {
		return Report{}, fmt.Errorf("%s %w", f.Name(), err)
	} else if err != nil {
		return Report{}, err
	}
	return s.report, s.fixLines()
}

// readLines takes the lines that are whole, and keeps the last ones.
func (s *directorySurvey) readLines(f *os.File) error {
	lines := bufio.NewReaderSize(f, maxLine)
	head := strings.Join(timesHeader, ",") + "\n"
	first, err := nextLine(lines)
	if err != nil || first == "" {
		return cmp.Or(err, s.writeHead(head))
	}
	if first != head {
		return ErrNotRecording
	}
	s.times.size = int64(len(head))
	for {
		text, err := nextLine(lines)
		if err != nil || text == "" {
			return err
		}
		fields := strings.Split(text, ",")
		if len(fields) < len(timesHeader) || !frameName.MatchString(fields[0]) || fields[0] <= s.lastListed() {
			return ErrNotRecording
		}
		// Only the last lines can be torn; the number of lines has no bound.
		if len(s.lines) == maxTail {
			s.before = s.lines[maxTail/2-1].name
			s.lines = append(s.lines[:0], s.lines[maxTail/2:]...)
		}
		s.lines = append(s.lines, line{fields[0], fields[1], s.times.size})
		s.times.size += int64(len(text))
		s.report.Frames++
	}
}

// writeHead writes the head of a file that has none.
func (s *directorySurvey) writeHead(head string) error {
	s.changed = true
	return s.times.appendParts([]byte(head))
}

// nextLine returns the next line, "" behind the last one that is whole: what was
// not written may be zeros.
func nextLine(r *bufio.Reader) (string, error) {
	text, err := r.ReadSlice('\n')
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) || err == nil && text[0] == 0 {
		return "", nil
	}
	return string(text), err
}

// lastListed returns the name of the last frame that has a line, "" for none.
func (s *directorySurvey) lastListed() string {
	if n := len(s.lines); n > 0 {
		return s.lines[n-1].name
	}
	return s.before
}

// fixLines removes the lines of frames that are not there or torn, and lists or
// removes the frames behind the last line.
func (s *directorySurvey) fixLines() error {
	s.unlistTorn()
	names, err := listFrames(s.path)
	if err != nil {
		return err
	}
	listed := s.lastListed()
	for _, name := range names {
		if name > listed {
			if err := s.listOrRemove(name); err != nil {
				return err
			}
		}
	}
	if n := len(s.lines); n > 0 {
		seconds, _ := strconv.ParseFloat(s.lines[n-1].seconds, 64) // none is 0
		s.report.Duration = time.Duration(min(max(seconds, 0), maxSeconds) * float64(time.Second))
	}
	if s.report.Frames == 0 {
		return fmt.Errorf("%s: %w", s.path, ErrNoFrame)
	}
	changed, err := repairWAV(s.path)
	if err != nil {
		return err
	}
	s.changed = s.changed || changed
	s.report.Whole = !s.changed && s.times.size == s.length
	if s.report.Whole {
		return nil
	}
	return cmp.Or(s.times.Truncate(s.times.size), s.times.Sync(), syncDir(s.path))
}

// unlistTorn drops the last lines whose frames are torn or not there.
func (s *directorySurvey) unlistTorn() {
	for len(s.lines) > 0 {
		n := len(s.lines) - 1
		data, err := readFrame(filepath.Join(s.path, s.lines[n].name))
		if err == nil && len(data) > 0 && !tornJPEG(data) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
		s.times.size = s.lines[n].start
		s.lines = s.lines[:n]
		s.report.Frames--
		s.changed = true
	}
}

// listOrRemove adds a line for a frame that has none, or removes it.
func (s *directorySurvey) listOrRemove(name string) error {
	s.changed = true
	path := filepath.Join(s.path, name)
	data, err := readFrame(path)
	if err != nil {
		return err
	}
	if h, err := jfif.ParseHeader(data); err != nil || !h.Complete {
		s.report.Cut += int64(len(data))
		return os.Remove(path)
	}
	s.report.Frames++
	return s.times.appendParts([]byte(name + ",,,\n"))
}

// readFrame reads a file of up to maxFrameSize bytes.
func readFrame(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFrameSize))
}
