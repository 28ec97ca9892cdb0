package main

import (
	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// plainPictures makes frames of plain MJPEG what frames of a tbcam-send are.
type plainPictures struct{ repair codec.Encoder }

func newPlainPictures(pool *capture.Pool) (*plainPictures, error) {
	repair, err := codec.NewEncoder(codec.Copy, 0, pool)
	return &plainPictures{repair}, err
}

// take implements transport.Receiver.Plain. The format is that of the JPEG's
// header.
func (p *plainPictures) take(f *capture.Frame) (*capture.Frame, error) {
	f.Format = capture.Format{Pixel: capture.MJPEG}
	return p.repair.Encode(f)
}
