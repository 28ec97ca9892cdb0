package codec_test

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// A raw frame goes over the wire as a JPEG and becomes planes again.
func Example() {
	pool := new(capture.Pool)
	f := pool.Get(0)
	f.Format = capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}
	f.Data = make([]byte, f.Format.Size())

	kind, _ := codec.Choose(codec.Auto, f.Format)
	encoder, _ := codec.NewEncoder(kind, 80, pool)
	defer encoder.Close()
	decoder := codec.NewDecoder(pool, codec.Limits{})
	defer decoder.Close()

	f, _ = encoder.Encode(f)
	fmt.Println(f.Format)
	f, _ = decoder.Decode(f)
	fmt.Println(f.Format)
	f.Release()
	// Output:
	// mjpeg 64x48
	// 422p 64x48
}
