package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/virtualcam"
	"github.com/tbcam/tbcam/sink/virtualcam/v4l2node"
)

// loopbackFlags are the flags of virtual cameras.
type loopbackFlags struct {
	nodes             []string
	format, size, fit string
	onDemand          bool
}

func (l *loopbackFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&l.nodes, "loopback", nil, "publish a virtual camera on a v4l2loopback `DEVICE`, or auto (repeatable)")
	f.StringVar(&l.format, "loopback-format", "auto", "pixel format of virtual cameras: auto, yuyv, yu12, or mjpeg (passed through where possible)")
	f.StringVar(&l.size, "loopback-size", "", "frame size of virtual cameras, `WxH` in pixels (default: the device's, else --size, else 1280x720)")
	f.StringVar(&l.fit, "fit", codec.FitContain.String(), "how to fit frames of another shape into virtual cameras: contain (with bars), crop or stretch")
	f.BoolVar(&l.onDemand, "on-demand", true, "turn the camera on for virtual cameras only while an application reads one (v4l2loopback 0.13 or newer)")
}

// check refuses flags that cannot work, and those of virtual cameras where there is
// none.
func (l *loopbackFlags) check() error {
	if len(l.nodes) > 0 {
		_, err := l.options(capture.Want{})
		return err
	}
	for flag, given := range map[string]bool{
		"--loopback-format": l.format != "auto", "--loopback-size": l.size != "",
		"--fit": l.fit != codec.FitContain.String(), "--on-demand=false": !l.onDemand,
	} {
		if given {
			return fmt.Errorf("%s needs --loopback DEVICE, or auto", flag)
		}
	}
	return nil
}

// options returns what the flags ask of every virtual camera.
func (l *loopbackFlags) options(want capture.Want) (o virtualcam.Options, err error) {
	o = virtualcam.Options{
		Want:     capture.Format{Width: want.Width, Height: want.Height},
		Rate:     rateOf(want.FPS),
		OnDemand: l.onDemand,
	}
	if l.format != "auto" {
		o.Format.Pixel, err = capture.ParsePixelFormat(l.format)
		if err == nil && !slices.Contains(virtualcam.Formats, o.Format.Pixel) {
			err = fmt.Errorf("--loopback-format %s: want auto, %s", l.format, strings.Join(virtualcam.FormatNames(), ", "))
		}
	}
	if err == nil && l.size != "" {
		o.Format.Width, o.Format.Height, err = cli.ParseSize("--loopback-size", l.size)
	}
	if err == nil {
		o.Fit, err = codec.ParseFit(l.fit)
	}
	return o, cli.Mark(err, cli.ErrUsage)
}

// rateOf returns a rate, zero for the camera's own.
func rateOf(fps float64) capture.Rate {
	const den = 1001 // as in 30000/1001
	if fps == float64(int(fps)) {
		return capture.Rate{Num: uint32(fps), Den: 1}
	}
	return capture.Rate{Num: uint32(fps*den + 0.5), Den: den}
}

// cameraOutput is a virtual camera. While it cannot be used it is tried again.
type cameraOutput struct {
	*virtualcam.Camera
	transform *transformFlags
}

// virtualCameraOutputs returns the virtual cameras.
func virtualCameraOutputs(r *run, measure func(*capture.Frame)) (all []sink.Output, err error) {
	if len(r.o.loopback.nodes) == 0 {
		return nil, nil
	}
	o, err := r.o.loopback.options(r.bridge.want)
	if err != nil {
		return nil, err
	}
	o.Driver, o.Explain = v4l2node.Driver{}, cli.Explain
	o.Pool, o.Log, o.Need, o.Decoded = r.pool, r.log, r.bridge.demand.need, r.bridge.outage.noteDecoded
	for i, node := range r.o.loopback.nodes {
		o.Node, o.Shown = node, nil
		if i == 0 {
			o.Shown = measure
		}
		all = append(all, &cameraOutput{virtualcam.New(o), &r.o.transform})
	}
	return all, nil
}

// Takes implements sink.Output: decoded frames where the camera would get JPEGs, if
// their shape is to change.
func (c *cameraOutput) Takes() sink.Need {
	need := c.Camera.Takes()
	if need == sink.Received && !c.transform.Identity() {
		return sink.Decoded
	}
	return need
}

// counted implements measured.
func (c *cameraOutput) counted() string { return "republished" }
