package jfif_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

// Plain MJPEG is one JPEG file after the other.
func ExampleSplitter() {
	stream := bytes.Join([][]byte{jpegsamples.Noise(16, 1), jpegsamples.Noise(32, 2)}, nil)
	frames := jfif.NewSplitter(bytes.NewReader(stream), 1<<20)
	for {
		frame, err := frames.Next()
		if err == io.EOF {
			break
		}
		h, err := jfif.ParseHeader(frame)
		fmt.Println(h.Width, h.Height, h.Subsampling, h.IsIntact(), err)
	}
	// Output:
	// 16 16 grey true <nil>
	// 32 32 grey true <nil>
}
