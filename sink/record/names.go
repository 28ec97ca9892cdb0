package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// verbs are those of strftime(3) that a pattern may hold: as package time writes
// them, and as they look.
var verbs = map[byte]struct{ layout, looks string }{
	'Y': {"2006", `\d{4}`},
	'y': {"06", `\d\d`},
	'm': {"01", `\d\d`},
	'd': {"02", `\d\d`},
	'j': {"002", `\d{3}`},
	'H': {"15", `\d\d`},
	'M': {"04", `\d\d`},
	'S': {"05", `\d\d`},
	'F': {"2006-01-02", `\d{4}-\d\d-\d\d`},
}

// Stamp is what distinguishes segments that were given no pattern.
const Stamp = "-%Y%m%d-%H%M%S"

// Pattern returns the pattern for segments of path: path itself where it is one,
// else with date and time before the extension.
func Pattern(path string) string {
	if isPattern(path) {
		return path
	}
	base, ext := splitExtension(path)
	return base + Stamp + ext
}

func isPattern(path string) bool { return strings.Contains(path, "%") }

// CheckPattern refuses a pattern with a verb that is not known.
func CheckPattern(pattern string) error {
	_, err := expandPattern(pattern, func(string) string { return "" }, func(byte) string { return "" })
	return err
}

// Expand returns the path that a pattern has at a time.
func Expand(pattern string, at time.Time) string {
	path, _ := expandPattern(pattern, keepLiteral, func(verb byte) string { return at.Format(verbs[verb].layout) })
	return path
}

func keepLiteral(s string) string { return s }

// expandPattern puts a pattern together from its literal parts and its verbs.
func expandPattern(pattern string, literal func(string) string, verb func(byte) string) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(pattern, "%")
		out.WriteString(literal(before))
		if !found {
			return out.String(), nil
		}
		if after == "" {
			return "", errors.New("a pattern must not end in %; %% stands for itself")
		}
		c := after[0]
		if _, known := verbs[c]; known {
			out.WriteString(verb(c))
		} else if c == '%' {
			out.WriteString(literal("%"))
		} else {
			return "", fmt.Errorf("%%%c is unknown in a pattern; known are %%Y %%y %%m %%d %%j %%H %%M %%S %%F and %%%%", c)
		}
		pattern = after[1:]
	}
}

// splitExtension divides a path where a number can be put in: before its extension, or
// before the slash of a directory.
func splitExtension(path string) (base, ext string) {
	if base, ok := strings.CutSuffix(path, "/"); ok {
		return base, "/"
	}
	ext = filepath.Ext(path)
	return strings.TrimSuffix(path, ext), ext
}

// cleanPath returns the shortest form of a path, with the slash of a directory.
func cleanPath(path string) string {
	if base, ok := strings.CutSuffix(path, "/"); ok {
		return filepath.Clean(base) + "/"
	}
	return filepath.Clean(path)
}

// names gives the files of a recording their paths.
type names struct {
	path    string
	pattern bool
	force   bool // the first file, and those numbered after it, may exist
	parts   int  // files that were made, if this is no pattern
}

// checkWritable reports what keeps the first file from being made, without leaving it.
func (n *names) checkWritable() error {
	if info, err := os.Lstat(n.path); err == nil && !n.pattern {
		if !n.force {
			return fmt.Errorf("%s: %w", n.path, ErrExist)
		}
		if err := checkExisting(n.path, info); err != nil {
			return err
		}
	}
	const writable = 2                                                 // W_OK of access(2)
	if err := syscall.Access(n.rootDir()+"/.", writable); err != nil { // the dot takes no file for one
		return fmt.Errorf("%s: %w", n.rootDir(), err)
	}
	path := n.path
	if n.pattern {
		path = Expand(path, time.Now())
	}
	return checkNames(n.rootDir(), path)
}

// rootDir returns the directory that must exist: what a pattern has before it
// changes.
func (n *names) rootDir() string {
	path := strings.TrimSuffix(n.path, "/")
	if n.pattern {
		path, _, _ = strings.Cut(path, "%")
	}
	return filepath.Dir(path)
}

// createNext calls create with path after path until one does not exist yet. Those of
// a pattern that exist are never overwritten: they may be of this recording.
func (n *names) createNext(start time.Time, create func(path string, force bool) error) error {
	base, ext := splitExtension(n.path)
	number, force := n.parts+1, n.force
	if n.pattern {
		base, ext = splitExtension(Expand(n.path, start.Local()))
		// Names of a pattern begin with a new time, and are numbered only within it.
		number, force = 1, false
		if err := n.makeDirs(base); err != nil {
			return err
		}
	}
	for ; ; number++ {
		path := base + ext
		if number > 1 {
			path = fmt.Sprintf("%s-%d%s", base, number, ext)
		}
		err := create(path, force)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			n.parts = number
		}
		return err
	}
}

// makeDirs makes the directories that are part of the pattern. The one before
// them is not made: where a disk is not mounted, its files belong nowhere.
func (n *names) makeDirs(base string) error {
	if _, err := os.Stat(n.rootDir()); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Dir(base), 0o700)
}

// listFiles returns the paths that the pattern may have made.
func (n *names) listFiles() ([]string, error) {
	base, ext := splitExtension(n.path)
	glob, _ := expandPattern(base, escapeGlob, func(byte) string { return "*" })
	looks, _ := expandPattern(base, regexp.QuoteMeta, func(verb byte) string { return verbs[verb].looks })
	found, err := filepath.Glob(glob + "*" + escapeGlob(strings.TrimSuffix(ext, "/")))
	if err != nil {
		return nil, err
	}
	ours := regexp.MustCompile("^" + looks + `(-[1-9]\d*)?` + regexp.QuoteMeta(strings.TrimSuffix(ext, "/")) + "$")
	var files []string
	for _, path := range found {
		if ours.MatchString(path) {
			files = append(files, path)
		}
	}
	return files, nil
}

// escapeGlob quotes what filepath.Match takes for a pattern.
func escapeGlob(s string) string {
	return regexp.MustCompile(`[\\*?\[]`).ReplaceAllString(s, `\$0`)
}
