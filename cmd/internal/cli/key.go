package cli

import (
	"path/filepath"
	"strings"
)

// StreamNames returns the names of what --stream means on this host. Two values that mean
// the same stream have one in common: of a USB4STREAM these are its own name and, while
// it is connected, its device.
func StreamNames(stream string) []string {
	if path, ok := strings.CutPrefix(stream, "unix:"); ok {
		return []string{"unix:" + realPath(path)}
	}
	if strings.Contains(stream, "/") {
		return []string{realPath(stream)}
	}
	names := []string{stream}
	if find, err := findDevice(stream); err == nil {
		if path, err := find(); err == nil {
			names = append(names, realPath(path))
		}
	}
	return names
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
