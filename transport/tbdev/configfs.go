package tbdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Streams is where ConfigFS keeps the streams, by service and name
// (Documentation/ABI/testing/configfs-thunderbolt_stream).
const Streams = "/sys/kernel/config/thunderbolt/stream"

// ErrNotSetUp says that there is no stream of that name; the text has the remedy.
var ErrNotSetUp = errors.New("is not set up")

// ByName returns the device of the stream with that name below root.
func ByName(root, name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	groups, err := filepath.Glob(filepath.Join(root, "*", name, "index"))
	if err != nil {
		return "", fmt.Errorf("find stream %q: %w", name, err)
	}
	if len(groups) == 0 {
		return "", notSetUp(root, name)
	}
	index, err := readInt(groups[0])
	if err != nil {
		return "", fmt.Errorf("find stream %q: %w", name, err)
	}
	return fmt.Sprintf("/dev/tbstream%d", index), nil
}

// maxName is the longest name of a stream in bytes (stream.c: longer ones get
// ENAMETOOLONG).
const maxName = 8

func checkName(name string) error {
	if name == "" || len(name) > maxName || name[0] == '.' || strings.ContainsAny(name, "/*?[\\") {
		return fmt.Errorf("stream name %q: 1 to %d letters or digits, or unix:PATH, or the path of a device", name, maxName)
	}
	return nil
}

// notSetUp says exactly what to run.
func notSetUp(root, name string) error {
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stream %q %w: the kernel module is not loaded; run: sudo modprobe thunderbolt_stream"+
			" (it needs Linux 7.2 or newer with CONFIG_USB4_STREAM); without a cable use --stream unix:PATH", name, ErrNotSetUp)
	}
	return fmt.Errorf("stream %q %w; run: sudo tbcam-view setup on the viewer's host, then sudo tbcam-send setup on the sender's",
		name, ErrNotSetUp)
}
