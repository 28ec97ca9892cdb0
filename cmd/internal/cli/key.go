package cli

import (
	"path/filepath"
	"strings"
)

// StreamKey returns a name that is the same for all values of --stream that mean
// the same stream on this host.
func StreamKey(stream string) string {
	if path, ok := strings.CutPrefix(stream, "unix:"); ok {
		return "unix:" + realPath(path)
	}
	if strings.Contains(stream, "/") {
		return realPath(stream)
	}
	if find, err := findDevice(stream); err == nil {
		if path, err := find(); err == nil {
			return realPath(path)
		}
	}
	return stream
}

// realPath resolves links of the directory, and of the file if it exists.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
