package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/mjpeg"
)

// plain sends plain MJPEG, for viewers that know nothing of tbcam: without
// credits, so that what is late waits in the stream's buffers.
type plain struct {
	link transport.Link
	feed *feed
	log  *slog.Logger
	sent func(*capture.Frame)
}

// runPlain sends until the context ends, the feed does, or the stream cannot be opened
// any more.
func (p *plain) runPlain(ctx context.Context) error {
	for {
		conn, err := p.link.Open(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err != nil:
			return err
		}
		err = p.serveConn(ctx, conn)
		conn.Close()
		p.feed.Stop()
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return nil
		}
		p.log.Info("reader disconnected", "err", err)
	}
}

// serveConn sends over one connection until that or the feed ends, or the context.
func (p *plain) serveConn(ctx context.Context, conn transport.Conn) error {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	p.feed.Start(0, capture.Want{})
	w := mjpeg.NewWriter(conn.WriteBuffers)
	for {
		unit, err := p.feed.Next(ctx, nil)
		if err != nil {
			return err
		}
		if err := p.writeFrame(w, unit.Frame); err != nil {
			return err
		}
	}
}

// writeFrame takes over the frame.
func (p *plain) writeFrame(w *mjpeg.Writer, f *capture.Frame) error {
	defer f.Release()
	if !f.Format.Pixel.Compressed() {
		return fmt.Errorf("plain MJPEG: frame is %v", f.Format)
	}
	if err := w.Write(f.Data); err != nil {
		return err
	}
	p.sent(f)
	return nil
}
