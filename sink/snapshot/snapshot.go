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
	"strings"
	"syscall"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// Stdout stands for standard output, which gets a PNG file.
const Stdout = "-"

// quality is that of JPEGs made here, of frames that came raw.
const quality = 92

// CheckName reports whether a file of this name can be written.
func CheckName(path string) error {
	if path == Stdout || IsJPEG(path) || strings.EqualFold(filepath.Ext(path), ".png") {
		return nil
	}
	return fmt.Errorf("%s: snapshots are .png, .jpg or .jpeg", path)
}

// IsJPEG reports whether a file of this name is a JPEG.
func IsJPEG(path string) bool {
	ext := filepath.Ext(path)
	return strings.EqualFold(ext, ".jpg") || strings.EqualFold(ext, ".jpeg")
}

// ErrExist is returned for a file that exists and is not to be overwritten.
var ErrExist = fmt.Errorf("%w", fs.ErrExist)

// Check reports why a snapshot cannot be written to path, before there is one.
func Check(path string, force bool) error {
	if path == Stdout {
		return nil
	}
	_, err := os.Lstat(path)
	switch {
	case err == nil && !force:
		return fmt.Errorf("snapshot %s: %w", path, ErrExist)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("snapshot: %w", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}

// Write writes a raw frame to path, as JPEG or PNG by its extension. A JPEG file
// is jpeg byte for byte where that is not nil. The frames stay the caller's.
func Write(path string, raw, jpeg *capture.Frame) error {
	encode := encodePNG
	if IsJPEG(path) {
		encode = encodeJPEG
	}
	if jpeg != nil && IsJPEG(path) {
		raw, encode = jpeg, copyJPEG
	}
	if path == Stdout {
		return wrapError(path, encode(os.Stdout, raw))
	}
	return wrapError(path, createWhole(path, func(w io.Writer) error { return encode(w, raw) }))
}

// Save writes a raw frame to base.png, and the JPEG that it came as, if it did,
// to base.jpg, byte for byte. Neither may be there. The frames stay the caller's.
func Save(base string, raw, jpeg *capture.Frame) error {
	if err := cmp.Or(Check(base+".png", false), Check(base+".jpg", false)); err != nil {
		return err
	}
	if jpeg != nil {
		if err := Write(base+".jpg", raw, jpeg); err != nil {
			return err
		}
	}
	return Write(base+".png", raw, nil)
}

func encodePNG(w io.Writer, raw *capture.Frame) error {
	img, err := codec.ToRGBA(raw)
	if err != nil {
		return err
	}
	return png.Encode(w, img)
}

func encodeJPEG(w io.Writer, raw *capture.Frame) error {
	encoder, err := codec.NewEncoder(codec.JPEG, quality, &capture.Pool{})
	if err != nil {
		return err
	}
	defer encoder.Close()
	jpeg, err := encoder.Encode(raw.Retain())
	if err != nil {
		return err
	}
	defer jpeg.Release()
	return copyJPEG(w, jpeg)
}

func copyJPEG(w io.Writer, jpeg *capture.Frame) error {
	_, err := w.Write(jpeg.Data)
	return err
}

func wrapError(path string, err error) error {
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}

// createWhole makes a file, which appears only when it is complete. What a link at path
// leads to is not touched.
func createWhole(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".tbcam-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails when all went well: it was renamed
	err = cmp.Or(write(file), keepMode(file, path), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}

// keepMode gives a file the mode of the caller's own that it is to replace. Others
// are read by their owner alone: they show a room.
func keepMode(file *os.File, path string) error {
	var old syscall.Stat_t
	if syscall.Lstat(path, &old) != nil || old.Mode&syscall.S_IFMT != syscall.S_IFREG || int(old.Uid) != os.Geteuid() {
		return nil
	}
	return file.Chmod(fs.FileMode(old.Mode & 0o777))
}
