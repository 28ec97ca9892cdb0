package main

import (
	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// plainFrames makes frames of plain MJPEG what frames of a tbcam-send are.
type plainFrames struct{ repair codec.Encoder }

func newPlainFrames(pool *capture.Pool) (*plainFrames, error) {
	repair, err := codec.NewEncoder(codec.Copy, 0, pool)
	return &plainFrames{repair}, err
}

// takeFrame implements transport.Receiver.Plain. The format is that of the JPEG's
// header.
func (p *plainFrames) takeFrame(f *capture.Frame) (*capture.Frame, error) {
	f.Format = capture.Format{Pixel: capture.MJPEG}
	return p.repair.Encode(f)
}
