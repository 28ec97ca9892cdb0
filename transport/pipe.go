package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
)

// Pipe is a Link of one direction, for plain MJPEG: a FIFO, or standard input or
// output.
type Pipe struct {
	Path string // "-" is standard input or output
	Out  bool   // pictures go out
	Log  *slog.Logger

	opened atomic.Bool
}

// Open waits until the FIFO has a reader, if pictures go out; a reader of a FIFO
// need not wait. Standard input and output open once: then Open's error wraps io.EOF.
func (p *Pipe) Open(ctx context.Context) (Conn, error) {
	again := p.opened.Swap(true)
	if p.Path == "-" {
		return p.standard(again)
	}
	flags := os.O_RDONLY
	if p.Out {
		flags = os.O_WRONLY
	}
	for waiting := again; ; waiting = true {
		if waiting {
			if err := sleep(ctx, redial); err != nil {
				return nil, err
			}
		}
		file, err := os.OpenFile(p.Path, flags|syscall.O_NONBLOCK, 0)
		if err == nil {
			return &pipeConn{File: file}, nil
		}
		if !errors.Is(err, syscall.ENXIO) {
			return nil, fmt.Errorf("open stream %v: %w", p, err)
		}
		if !waiting {
			p.Log.Info("waiting for a reader", "stream", p.String())
		}
	}
}

func (p *Pipe) standard(again bool) (Conn, error) {
	switch {
	case again:
		return nil, fmt.Errorf("stream %v has ended: %w", p, io.EOF)
	case p.Out:
		return &pipeConn{File: os.Stdout}, nil
	}
	return &pipeConn{File: os.Stdin}, nil
}

// Properties returns Greets, since a FIFO opens whether or not a writer has, and
// Checksums, since nobody knows what writes into it.
func (p *Pipe) Properties() Properties { return Properties{Greets: true, Checksums: true} }

// Close does nothing: nothing is held between openings.
func (p *Pipe) Close() error { return nil }

func (p *Pipe) String() string { return p.Path }

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
