package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"image/png"
	"io"
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

// Write writes a raw frame to path as PNG. The frame stays the caller's.
func Write(path string, f *capture.Frame) error {
	img, err := codec.ToRGBA(f)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return create(path, func(w io.Writer) error { return png.Encode(w, img) })
}

// Save writes a raw frame to base.png, and the JPEG that it came as, if it did,
// to base.jpg, byte for byte. Neither may be there. The frames stay the caller's.
func Save(base string, raw, jpeg *capture.Frame) error {
	if err := cmp.Or(Check(base+".png", false), Check(base+".jpg", false)); err != nil {
		return err
	}
	if jpeg != nil {
		err := create(base+".jpg", func(w io.Writer) error { _, err := w.Write(jpeg.Data); return err })
		if err != nil {
			return err
		}
	}
	return Write(base+".png", raw)
}

// create makes a file, which appears only when it is complete.
func create(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".tbcam-*")
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	defer os.Remove(file.Name()) // fails when all went well: it was renamed
	err = cmp.Or(write(file), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}
