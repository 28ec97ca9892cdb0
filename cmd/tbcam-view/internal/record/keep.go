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
}

// segment is a file, or a directory of pictures, that was recorded before.
type segment struct {
	path  string
	bytes int64
	ended time.Time
	dir   bool
}

// tidy removes what is beyond the limit. It never touches the
// newest, which is being written or was last.
func (k *keeper) tidy(newest string) {
	if k.limit == (Limit{}) {
		return
	}
	old, total := k.segments(newest)
	for _, s := range old {
		tooMuch := k.limit.Size > 0 && total > k.limit.Size
		tooOld := k.limit.Time > 0 && time.Since(s.ended) > k.limit.Time
		if !tooMuch && !tooOld {
			return
		}
		if k.remove(s) {
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
	old, _ := k.segments(newest)
	return slices.ContainsFunc(old, k.remove)
}

func (k *keeper) remove(s segment) bool {
	if err := removeSegment(s); err != nil {
		k.log.Warn("an old segment cannot be removed", "why", err)
		return false
	}
	k.log.Info("removed an old segment", "file", s.path, "size", humanize.Bytes(uint64(s.bytes)))
	// Directories that the pattern made go with the last segment in them.
	for dir := filepath.Dir(s.path); dir != k.names.root() && os.Remove(dir) == nil; dir = filepath.Dir(dir) {
	}
	return true
}

// segments returns those before the newest, the oldest first, and the bytes of all.
func (k *keeper) segments(newest string) (old []segment, total int64) {
	paths, err := k.names.files()
	if err != nil {
		k.log.Warn("old segments cannot be found", "why", err)
	}
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
			continue
		}
		s := segment{path, size(path, info), info.ModTime(), info.IsDir()}
		total += s.bytes
		if path != filepath.Clean(newest) {
			old = append(old, s)
		}
	}
	slices.SortFunc(old, func(a, b segment) int { return cmp.Or(a.ended.Compare(b.ended), cmp.Compare(a.path, b.path)) })
	return old, total
}

// size returns the bytes of a file, or of all in a directory.
func size(path string, info fs.FileInfo) int64 {
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

// removeSegment removes a file, or a directory and the pictures in it; one that
// holds anything else stays.
func removeSegment(s segment) error {
	if s.dir {
		pictures, err := filepath.Glob(escape(s.path) + "/*.jpg")
		if err != nil {
			return err
		}
		for _, p := range append(pictures, filepath.Join(s.path, "frames.csv")) {
			if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.Remove(s.path)
}
