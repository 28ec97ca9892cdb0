package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/transport"
)

// Link is a transport.Link of one direction, for plain MJPEG: a FIFO, or standard input or
// output.
type Link struct {
	Path string       // "-" is standard input or output
	Out  bool         // frames go out
	Log  *slog.Logger // nil discards

	opened atomic.Bool
}

// Open waits until the FIFO has a reader, if frames go out; a reader of a FIFO
// need not wait. Standard input and output open once: then Open's error wraps io.EOF.
func (l *Link) Open(ctx context.Context) (transport.Conn, error) {
	again := l.opened.Swap(true)
	if l.Path == "-" {
		return l.openStandard(again)
	}
	flags := os.O_RDONLY
	if l.Out {
		flags = os.O_WRONLY
	}
	for waiting := again; ; waiting = true {
		if waiting {
			if err := transport.Sleep(ctx, reopenEvery); err != nil {
				return nil, err
			}
		}
		file, err := os.OpenFile(l.Path, flags|syscall.O_NONBLOCK, 0)
		if err == nil {
			return &pipeConn{File: file}, nil
		}
		if !errors.Is(err, syscall.ENXIO) {
			return nil, fmt.Errorf("open stream %v: %w", l, err)
		}
		if !waiting && l.Log != nil {
			l.Log.Info("waiting for a reader", "stream", l.String())
		}
	}
}

func (l *Link) openStandard(again bool) (transport.Conn, error) {
	switch {
	case again:
		return nil, fmt.Errorf("stream %v has ended: %w", l, io.EOF)
	case l.Out:
		return &pipeConn{File: os.Stdout}, nil
	}
	return &pipeConn{File: os.Stdin}, nil
}

// Properties returns Greets, since a FIFO opens whether or not a writer has, and
// Checksums, since any program can write into it.
func (l *Link) Properties() transport.Properties {
	return transport.Properties{Greets: true, Checksums: true}
}

// Close does nothing: nothing is held between openings.
func (l *Link) Close() error { return nil }

func (l *Link) String() string { return l.Path }

// pipeConn is one end of a pipe.
type pipeConn struct {
	*os.File
	closed atomic.Bool
}

func (c *pipeConn) WriteBuffers(bufs [][]byte) error {
	for _, b := range bufs {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (c *pipeConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.File.Close()
}

// reopenEvery is how long it waits between two attempts to open, and two openings.
const reopenEvery = 50 * time.Millisecond
