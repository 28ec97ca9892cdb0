package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/pipe"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// DefaultStream is the name of the stream where none is given.
const DefaultStream = "tbcam"

// StreamUsage describes --stream.
const StreamUsage = "connection to the other computer, a `STREAM`: NAME or NAME@PEER of a USB4STREAM, a device such as /dev/tbstream0, or unix:PATH"

// SenderLink returns the sender's end of what --stream names. With wait a USB4STREAM may be
// set up later.
func SenderLink(stream string, allow AllowFlag, wait bool, log *slog.Logger) (transport.Link, error) {
	if path, ok := strings.CutPrefix(stream, "unix:"); ok {
		return &unixsock.Dialer{Path: path, Allow: allow.users, Log: log}, Mark(checkPath(path), ErrUsage)
	}
	if err := allow.checkStream(stream); err != nil {
		return nil, err
	}
	return deviceLink(stream, tbdev.SenderPause, wait, log)
}

// PlainLink returns where tbcam-send writes plain MJPEG: what SenderLink takes,
// "-" for standard output, or a FIFO.
func PlainLink(stream string, allow AllowFlag, wait bool, log *slog.Logger) (transport.Link, error) {
	if IsPipe(stream) {
		if err := allow.checkStream(stream); err != nil {
			return nil, err
		}
		return &pipe.Link{Path: stream, Out: true, Log: log}, nil
	}
	return SenderLink(stream, allow, wait, log)
}

// IsPipe reports whether a stream has one direction only.
func IsPipe(stream string) bool {
	info, err := os.Stat(stream)
	return stream == "-" || strings.Contains(stream, "/") && err == nil && info.Mode().Type() == fs.ModeNamedPipe
}

// ViewerLink returns the viewer's end of what --stream names; "-" is standard
// input. With wait a USB4STREAM may be set up later.
func ViewerLink(stream string, allow AllowFlag, wait bool, log *slog.Logger) (transport.Link, error) {
	if path, ok := strings.CutPrefix(stream, "unix:"); ok {
		if err := checkPath(path); err != nil {
			return nil, Mark(err, ErrUsage)
		}
		link, err := unixsock.Listen(path, allow.users, log)
		if err != nil {
			return nil, Mark(err, ErrStream)
		}
		return link, nil
	}
	if err := allow.checkStream(stream); err != nil {
		return nil, err
	}
	if IsPipe(stream) {
		return &pipe.Link{Path: stream, Log: log}, nil
	}
	return deviceLink(stream, tbdev.ViewerPause, wait, log)
}

func checkPath(path string) error {
	if path == "" {
		return errors.New("--stream unix: needs a path, for instance unix:$XDG_RUNTIME_DIR/tbcam.sock")
	}
	return nil
}

func deviceLink(stream string, pause time.Duration, wait bool, log *slog.Logger) (transport.Link, error) {
	resolve := func() (string, error) { return stream, checkDevice(stream) }
	if !strings.Contains(stream, "/") {
		var err error
		if resolve, err = findDevice(stream); err != nil {
			return nil, Mark(err, ErrStream)
		}
	}
	// What is wrong from the start is a mistake, unless the user knows better.
	if _, err := resolve(); err != nil && !errors.Is(err, tbdev.ErrNotConnected) && !(wait && tbdev.MayChange(err)) {
		return nil, Mark(err, ErrStream)
	}
	return &tbdev.Link{Resolve: resolve, Pause: pause, Wait: wait, Log: log}, nil
}

// findDevice returns what finds the device of NAME or NAME@PEER.
func findDevice(stream string) (func() (string, error), error) {
	selector, err := tbdev.ParseSelector(stream)
	finder := &tbdev.Finder{Root: Root(), Selector: selector}
	return finder.Device, err
}

func checkDevice(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Mark(fmt.Errorf("open stream %s: it does not exist; see ls /dev/tbstream*, or use unix:%[1]s for a socket", path), err)
	case err != nil:
		return fmt.Errorf("open stream %s: %w", path, err)
	case info.Mode().Type() == fs.ModeSocket:
		return fmt.Errorf("open stream %s: it is a socket; use unix:%[1]s", path)
	case info.Mode()&fs.ModeCharDevice == 0:
		return fmt.Errorf("open stream %s: it is not a character device", path)
	}
	return nil
}
