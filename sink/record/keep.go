package record

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
)

// keeper removes old segments.
type keeper struct {
	names *names
	limit Limit
	log   *slog.Logger
	wall  func(moment time.Time) time.Time // as WallTime
	own   map[string]completion            // files of this process, by path
}

// completion is of a file of this process. Its moments are those of a clock that
// nobody sets.
type completion struct {
	last time.Time // frame
	at   time.Time
}

func newKeeper(n *names, limit Limit, log *slog.Logger) keeper {
	return keeper{n, limit, log, WallTime, make(map[string]completion)}
}

// noteCompleted notes a file of this process and when its last frame was captured.
func (k *keeper) noteCompleted(path string, last time.Time) {
	if k.limit != (Limit{}) {
		k.own[filepath.Clean(path)] = completion{last, time.Now()}
	}
}

// segment is a file, or a directory of frames, that was recorded before.
type segment struct {
	path  string
	bytes int64
	age   time.Duration
	dir   bool
	own   bool // of this process
}

// deleteBeyondLimit removes what is beyond the limit. It never touches the
// newest, which is being written or was last.
func (k *keeper) deleteBeyondLimit(newest string) {
	if k.limit == (Limit{}) {
		return
	}
	old, total := k.listSegments(newest)
	for _, s := range old {
		tooMuch := k.limit.Size > 0 && total > k.limit.Size
		tooOld := k.limit.Time > 0 && s.age > k.limit.Time
		if (tooMuch || tooOld) && k.removeOld(s) {
			total -= s.bytes
		}
	}
}

// makeRoom removes the oldest segment, for a disk that is full before the limit
// is reached. It reports whether there was one.
func (k *keeper) makeRoom(newest string) bool {
	if k.limit == (Limit{}) {
		return false
	}
	old, _ := k.listSegments(newest)
	return slices.ContainsFunc(old, k.removeOld)
}

func (k *keeper) removeOld(s segment) bool {
	if err := removeSegment(s); err != nil {
		k.log.Warn("remove an old segment", "err", err)
		return false
	}
	delete(k.own, s.path)
	k.log.Info("old segment removed", "file", s.path, "size", humanize.Bytes(uint64(s.bytes)))
	// Directories that the pattern made go with the last segment in them.
	for dir := filepath.Dir(s.path); dir != k.names.rootDir() && os.Remove(dir) == nil; dir = filepath.Dir(dir) {
	}
	return true
}

// listSegments returns those before the newest, the oldest first, and the bytes of all.
func (k *keeper) listSegments(newest string) (old []segment, total int64) {
	paths, err := k.names.listFiles()
	if err != nil {
		k.log.Warn("find old segments", "err", err)
	}
	wall, known := k.wall(time.Now()), k.own
	k.own = make(map[string]completion) // without those that were removed
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
			continue
		}
		if c, own := known[path]; own {
			k.own[path] = c
		}
		s := k.segmentAt(path, info, wall)
		total += s.bytes
		if path != filepath.Clean(newest) {
			old = append(old, s)
		}
	}
	slices.SortFunc(old, compareAge)
	return old, total
}

// segmentAt returns what is known of a file. The age of one that this process has
// made does not depend on how the clock is set, and the clock's time is corrected
// in it for whoever looks later.
func (k *keeper) segmentAt(path string, info fs.FileInfo, wall time.Time) segment {
	s := segment{path: path, bytes: sizeOnDisk(path, info), dir: info.IsDir()}
	made, own := k.own[path]
	if !own {
		s.age = wall.Sub(info.ModTime())
		return s
	}
	s.age, s.own = time.Since(made.at), true
	// The file got the time of a clock that was set since, by more than drift.
	if last := k.wall(made.last); last.Sub(info.ModTime()).Abs() > time.Minute {
		_ = os.Chtimes(path, last, last)
	}
	return s
}

// compareAge puts the oldest first. Those of this process come after all others:
// there the clock may have been another one.
func compareAge(a, b segment) int {
	if a.own != b.own {
		return map[bool]int{true: 1, false: -1}[a.own]
	}
	return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.path, b.path))
}

// sizeOnDisk returns the bytes of a file, or of all in a directory.
func sizeOnDisk(path string, info fs.FileInfo) int64 {
	if !info.IsDir() {
		return info.Size()
	}
	var total int64
	entries, _ := os.ReadDir(path) // what cannot be read counts nothing
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}

// removeSegment removes a file, or a directory and the frames and audio in it; one that
// holds anything else stays.
func removeSegment(s segment) error {
	if s.dir {
		frames, err := filepath.Glob(escapeGlob(s.path) + "/*.jpg")
		if err != nil {
			return err
		}
		for _, p := range append(frames, filepath.Join(s.path, "frames.csv"), filepath.Join(s.path, "audio.wav")) {
			if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.Remove(s.path)
}
