package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/virtualcam"
	"github.com/tbcam/tbcam/sink/virtualcam/pwnode"
	"github.com/tbcam/tbcam/sink/virtualcam/v4l2node"
)

// virtualCameraFlags are the flags of virtual cameras.
type virtualCameraFlags struct {
	places            []string
	format, size, fit string
	placeholder       string
	onDemand          bool
}

// Values of --virtual-camera, beside the path of a v4l2loopback node.
const (
	everywhere     = "auto"
	atPipeWire     = "pipewire"
	atV4L2Loopback = "v4l2loopback"
)

func (l *virtualCameraFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&l.places, "virtual-camera", nil, "publish a virtual camera at `PLACE`: auto (PipeWire and v4l2loopback), pipewire, v4l2loopback, or /dev/videoN (repeatable)")
	f.StringVar(&l.format, "virtual-camera-format", "auto", "pixel format of virtual cameras: auto, yuyv, yu12, or mjpeg (v4l2loopback only; passed through where possible)")
	f.StringVar(&l.size, "virtual-camera-size", "", "frame size of virtual cameras, `WxH` in pixels (default: the device's, else --size, else 1280x720)")
	f.StringVar(&l.fit, "fit", codec.FitContain.String(), "how to fit frames of another shape into virtual cameras: contain (with bars), crop or stretch")
	f.StringVar(&l.placeholder, "placeholder", "", "`TEXT` that virtual cameras show while there is no frame (default: what is waited for)")
	f.BoolVar(&l.onDemand, "on-demand", true, "turn the camera on for virtual cameras only while an application reads one (PipeWire; v4l2loopback 0.13 or newer)")
}

// check refuses flags that cannot work, and those of virtual cameras where there is
// none.
func (l *virtualCameraFlags) check() error {
	if len(l.places) > 0 {
		_, err := l.options(capture.Want{})
		return cmp.Or(err, l.checkPlaces())
	}
	for flag, given := range map[string]bool{
		"--virtual-camera-format": l.format != "auto", "--virtual-camera-size": l.size != "",
		"--fit": l.fit != codec.FitContain.String(), "--placeholder": l.placeholder != "", "--on-demand=false": !l.onDemand,
	} {
		if given {
			return fmt.Errorf("%s needs --virtual-camera auto, or another place", flag)
		}
	}
	return nil
}

// checkPlaces refuses places that do not exist, or that do not have the format.
func (l *virtualCameraFlags) checkPlaces() error {
	for _, place := range l.places {
		switch {
		case place == atPipeWire && l.format != "auto":
			pixel, _ := capture.ParsePixelFormat(l.format) // it was checked
			if !slices.Contains(pwnode.Driver{}.Formats(), pixel) {
				return fmt.Errorf("--virtual-camera-format %s: --virtual-camera pipewire takes yu12 or yuyv", l.format)
			}
		case place != everywhere && place != atPipeWire && place != atV4L2Loopback && !strings.HasPrefix(place, "/"):
			return fmt.Errorf("--virtual-camera %s: want auto, pipewire, v4l2loopback, or a device", place)
		}
	}
	return nil
}

// options returns what the flags ask of every virtual camera.
func (l *virtualCameraFlags) options(want capture.Want) (o virtualcam.Options, err error) {
	o = virtualcam.Options{
		Want:        capture.Format{Width: want.Width, Height: want.Height},
		Rate:        rateOf(want.FPS),
		Placeholder: l.placeholder,
		OnDemand:    l.onDemand,
	}
	if l.format != "auto" {
		o.Format.Pixel, err = cli.ParsePixelFormat("--virtual-camera-format", l.format)
		if err == nil && !slices.Contains(virtualcam.Formats, o.Format.Pixel) {
			err = fmt.Errorf("--virtual-camera-format %s: want auto, %s", l.format, strings.Join(virtualcam.FormatNames(), ", "))
		}
	}
	if err == nil && l.size != "" {
		o.Format.Width, o.Format.Height, err = cli.ParseSize("--virtual-camera-size", l.size)
	}
	if err == nil {
		if o.Fit, err = codec.ParseFit(l.fit); err != nil {
			err = fmt.Errorf("--fit: %w", err)
		}
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
	name      string
	transform *transformFlags
	far       func() (camera, host string)
	siblings  *[]*cameraOutput // of the same value of --virtual-camera
}

// Name implements sink.Output.
func (c *cameraOutput) Name() string { return "virtual camera at " + c.name }

// isSpare implements spare: of auto, one place is enough.
func (c *cameraOutput) isSpare() bool {
	return slices.ContainsFunc(*c.siblings, func(s *cameraOutput) bool { return s.Trouble() == nil })
}

// cameraNode is a driver of nodes, and the node that is meant.
type cameraNode struct {
	place  string
	driver virtualcam.Driver
	node   string
}

// nodesAt returns the nodes that a value of --virtual-camera means.
func nodesAt(place string) []cameraNode {
	loopback := cameraNode{atV4L2Loopback, v4l2node.Driver{}, virtualcam.Auto}
	node := cameraNode{"PipeWire", pwnode.Driver{}, virtualcam.Auto}
	switch place {
	case everywhere:
		return []cameraNode{loopback, node}
	case atPipeWire:
		return []cameraNode{node}
	case atV4L2Loopback:
		return []cameraNode{loopback}
	}
	return []cameraNode{{place, v4l2node.Driver{}, place}}
}

// virtualCameraOutputs returns the virtual cameras. The first one is measured.
func virtualCameraOutputs(r *run, measure func(*capture.Frame)) (all []sink.Output, err error) {
	if len(r.o.virtualCamera.places) == 0 {
		return nil, nil
	}
	o, err := r.o.virtualCamera.options(r.bridge.want)
	if err != nil {
		return nil, err
	}
	o.Explain, o.Shown = cli.Explain, measure
	o.Pool, o.Log, o.Need, o.Decoded = r.pool, r.log, r.bridge.demand.noteNeed, r.bridge.outage.noteDecoded
	for _, place := range r.o.virtualCamera.places {
		siblings := new([]*cameraOutput)
		for _, n := range nodesAt(place) {
			o.Driver, o.Node = n.driver, n.node
			c := &cameraOutput{virtualcam.New(o), n.place, &r.o.transform, r.bridge.farCamera, siblings}
			*siblings, all = append(*siblings, c), append(all, c)
			o.Shown = nil
		}
	}
	return all, nil
}

// ModeChanged implements sink.ModeListener: applications show where the frames come
// from.
func (c *cameraOutput) ModeChanged(string, capture.Mode) { c.describeFar() }

// ControlsChanged implements sink.ControlsListener: with its controls the far camera is
// known before it is on.
func (c *cameraOutput) ControlsChanged([]capture.Control) { c.describeFar() }

func (c *cameraOutput) describeFar() {
	if camera, host := c.far(); camera != "" {
		c.Describe(describeFar(camera, host))
	}
}

// describeFar returns the name of a far camera for applications.
func describeFar(camera, host string) string {
	if host == "" {
		return "tbcam: " + camera
	}
	return "tbcam: " + camera + " on " + host
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

// takesJPEGs implements jpegTaker.
func (c *cameraOutput) takesJPEGs() bool { return c.Takes() == sink.Received }

// counted implements measured.
func (c *cameraOutput) counted() string { return "republished" }
