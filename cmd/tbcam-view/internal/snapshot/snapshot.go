package snapshot

import (
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// Check reports why a snapshot cannot be written to path, before there is one.
func Check(path string, force bool) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil && !force:
		return fmt.Errorf("snapshot %s: %w; --force overwrites it", path, fs.ErrExist)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("snapshot: %w", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}

// Write writes a raw frame to path, which appears only when it is complete. The
// frame stays the caller's.
func Write(path string, f *capture.Frame) error {
	img, err := codec.ToRGBA(f)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".tbcam-*.png")
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	defer os.Remove(file.Name()) // fails when all went well: it was renamed
	err = errors.Join(png.Encode(file, img), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}
