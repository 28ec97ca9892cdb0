package main

import (
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
)

// transformFlags are the flags that change the shape of what is shown.
type transformFlags struct{ codec.Transform }

// Register adds the flags.
func (t *transformFlags) Register(f *pflag.FlagSet) {
	f.Func("rotate", "rotate clockwise by `DEGREES`: 90, 180 or 270; recordings keep the camera's", func(s string) (err error) {
		t.Rotate, err = codec.ParseRotate(s)
		return err
	})
	f.BoolVar(&t.Mirror, "mirror", false, "mirror horizontally, after rotation; not in recordings")
	f.Func("crop", "crop to `WxH+X+Y`, in pixels before rotation; not in recordings", func(s string) (err error) {
		t.Crop, err = codec.ParseCrop(s)
		return err
	})
}

// newDecoder returns the decoder that all outputs share.
func (r *run) newDecoder() sink.Decoder {
	d := codec.NewDecoder(r.pool, codec.Limits{})
	d.LowLatency = true // who takes decoded frames shows them
	if r.o.transform.Identity() {
		return d
	}
	return sink.Transforming(d, codec.NewTransformer(r.pool, r.o.transform.Transform), r.log)
}
