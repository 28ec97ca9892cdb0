// Command tbcam-send sends the frames of a camera over a stream device to
// tbcam-view, as long as that asks for them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/cmd/internal/setup"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
)

// version is set by the Makefile.
var version = "dev"

func main() { cli.Main(newCommand()) }

// options are the flags.
type options struct {
	stream     string
	allow      cli.AllowFlag
	trust      cli.TrustFlags
	onCamera   string
	cameras    []string
	microphone string
	want       cli.WantFlags
	codec      string
	quality    int
	wire       string
	frames     int
	duration   time.Duration
	stats      cli.StatsFlag
	log        cli.LogFlags
	controls   controlFlags
	wait       bool
	input      string
	standard   string
}

func newCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "tbcam-send",
		Short: "Send this host's camera to tbcam-view on the other end of the cable",
		Long: `tbcam-send offers this host's cameras to tbcam-view on the other end of a USB4 or
Thunderbolt cable. The camera is on only while a viewer is connected, and 3 s more.

Without flags it offers all colour cameras over the stream "tbcam", and viewers
that choose none get the first one. Test and infrared cameras are offered only
where --camera names them. Cameras that only PipeWire has, such as those of libcamera
in laptops with a MIPI sensor, come after those of V4L2. It runs until it is
stopped, through any number of viewers and unplugged cables.`,
		Example: `  tbcam-send
  tbcam-send --camera /dev/video2 --size 1280x720 --fps 30
  tbcam-send --camera C920 --camera infrared
  tbcam-send --microphone auto
  tbcam-send --camera pattern --stream unix:$XDG_RUNTIME_DIR/tbcam.sock`,
		Version: version,
		Args:    cli.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runSender(c.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.stream, "stream", cli.DefaultStream, cli.StreamUsage)
	o.allow.Register(f)
	o.trust.Register(f, "send to any viewer, paired or not, at the other end of a device")
	f.StringArrayVar(&o.cameras, "camera", nil, "`CAMERA` to offer: auto (all in colour), a device, part of a name, pattern, pattern2 or pattern-photo (repeatable)")
	f.StringVar(&o.microphone, "microphone", "", "`MICROPHONE` to offer: auto (the one chosen on this host), part of a name, or pattern; default is none")
	f.StringVar(&o.onCamera, "on-camera", "", "`COMMAND` for the shell when a camera or microphone is turned on or off (TBCAM_STATE=on or off, TBCAM_PEER, TBCAM_DEVICES), for instance for a lamp")
	o.want.RegisterMode(f)
	f.StringVar(&o.input, "input", "", "`INPUT` of a grabber: a number or part of a name; list shows them")
	f.StringVar(&o.standard, "standard", "", "analogue `STANDARD` of the input: pal, ntsc, secam, ...; see list")
	f.StringVar(&o.codec, "codec", "auto", "encoding of frames: auto (the camera's own JPEGs; else raw where the line has room and no output wants JPEG, or jpeg), copy (the camera's own JPEGs), jpeg, or raw (lossless)")
	f.StringVar(&o.wire, "wire", "tbcam", "protocol: tbcam, or mjpeg (plain MJPEG for GStreamer, FFmpeg and others; --stream may then be a FIFO or -)")
	f.IntVar(&o.quality, "quality", 85, "JPEG quality (1-100)")
	f.IntVar(&o.frames, "frames", 0, "stop after sending `N` frames")
	f.DurationVar(&o.duration, "duration", 0, "stop `DURATION` after the first frame, for example 90s or 10m")
	f.BoolVar(&o.wait, "wait", false, "wait for a camera or stream that is missing or busy at the start")
	o.controls.registerFlags(f)
	o.stats.Register(f)
	o.log.Register(f)
	c.AddCommand(listCommand(), pairCommand(&o))
	setup.Add(c, setup.Sender)
	cli.AddPeers(c, trust.RoleViewer)
	cli.AddLog(c)
	cli.Finish(c, flagGroups, manual)
	return c
}

func listCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List this host's cameras with their modes and controls, and its microphones",
		Args:  cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return printList(drivers, microphoneDrivers, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// heap is what the garbage collector keeps the heap below, in bytes: a viewer may ask
// for one large mode after the other.
const heap = 192 << 20

func runSender(ctx context.Context, o options) error {
	debug.SetMemoryLimit(heap)
	log := o.log.New(os.Stderr, "tbcam-send")
	want, kind, err := o.checkFlags()
	if err != nil {
		return err
	}
	config := o.trust.StartConfig(o.stream)
	feed, offer, err := o.newFeed(want, kind, log)
	if err != nil {
		return err
	}
	if o.wire == plainWire {
		return o.sendPlain(ctx, feed, offer, config, log)
	}
	link, err := cli.SenderLink(o.stream, o.allow, o.wait, log)
	if err != nil {
		return err
	}
	defer link.Close()
	log.Info("offering "+offer, "stream", o.stream)
	ctx, end := context.WithCancel(ctx)
	defer end()
	c := &catalogue{ctx: ctx, first: feed, log: log}
	c.microphone = newMicrophone(microphoneDrivers, o.microphone, &feed.camera.offer.grants, log)
	feed.limit.timeUp = func() {
		if c.isIdle() {
			end()
		}
	}
	sender := &transport.Sender{
		Link: link, Catalogue: c, Program: "tbcam-send", Version: version, Log: log, Sent: c.sent,
	}
	witness, err := o.guard(sender, c, config, log)
	if err != nil {
		return err
	}
	defer witness.close() // which sees that the cameras are turned off
	c.launch(feed)
	c.microphone.launch(ctx)
	defer c.close()
	defer o.stats.Start(os.Stdout, func() []meter.Summary { return c.summaries(sender.Served() != nil) })()
	defer cli.KeepStatus(witness.describe)()
	return cli.Mark(sender.Run(ctx), cli.ErrStream)
}

// plainWire is the value of --wire for plain MJPEG.
const plainWire = "mjpeg"

func (o options) sendPlain(ctx context.Context, feed *feed, offer string, config func() (trust.Config, error), log *slog.Logger) error {
	// Nobody proves anything to it: so it is a person's explicit wish.
	if cli.NeedsTrust(o.stream) && !o.trust.AllowUnpaired() && cli.OpenTerminal() == nil {
		return cli.Mark(errors.New("--wire mjpeg to a device sends to whoever is there; confirm it with --allow-unpaired"), cli.ErrUsage)
	}
	link, err := cli.PlainLink(o.stream, o.allow, o.wait, log)
	if err != nil {
		return err
	}
	defer link.Close()
	log.Info("sending plain MJPEG of "+offer, "stream", o.stream)
	figures := newMeter(feed)
	witness, err := o.guardPlain(&catalogue{ctx: ctx, first: feed, log: log}, config, log)
	if err != nil {
		return err
	}
	defer witness.close() // which sees that the camera is turned off
	feed.report = feed.reportToStream
	feed.camera.startServing(ctx)
	defer feed.closeCamera()
	statistics := os.Stdout
	if o.stream == "-" {
		statistics = os.Stderr // standard output is taken
	}
	defer o.stats.Start(statistics, func() []meter.Summary { return []meter.Summary{figures.summarize()} })()
	defer cli.KeepStatus(witness.describe)()
	p := &plain{link: link, feed: feed, log: log, sent: figures.countSent}
	return cli.Mark(p.runPlain(ctx), cli.ErrStream)
}

// checkFlags checks the flags against each other.
func (o options) checkFlags() (want capture.Want, kind codec.Kind, err error) {
	if want, err = o.want.Want(); err != nil {
		return want, kind, err
	}
	want.Input, want.Standard = o.input, o.standard
	kind, err = codec.ParseKind(o.codec)
	switch {
	case err != nil:
		err = fmt.Errorf("--codec: %w", err)
	case o.quality < 1 || o.quality > 100:
		err = fmt.Errorf("--quality %d: must be 1 to 100", o.quality)
	case o.wire != "tbcam" && o.wire != plainWire:
		err = fmt.Errorf("--wire %q: want tbcam or mjpeg", o.wire)
	case o.wire == plainWire && kind == codec.Raw:
		err = fmt.Errorf("--wire mjpeg cannot carry raw frames; use --codec auto")
	case o.wire == plainWire && o.microphone != "":
		err = fmt.Errorf("--wire mjpeg cannot carry audio; leave out --microphone")
	case o.frames < 0 || o.duration < 0:
		err = fmt.Errorf("--frames and --duration must not be negative")
	}
	return want, kind, cli.Mark(err, cli.ErrUsage)
}

// newFeed checks the flags against the camera, so that a mistake is reported before
// anybody watches. It also describes what is on offer.
func (o options) newFeed(want capture.Want, kind codec.Kind, log *slog.Logger) (f *feed, text string, err error) {
	offer := newOffer(drivers, o.cameras)
	camera, text, err := checkCamera(offer, want, kind)
	if err != nil && o.wait && waitHelps(err) {
		log.Info("waiting for the camera", "err", cli.Explain(err))
		text, err = "a camera that is waited for", nil
	}
	if err != nil {
		return nil, "", err
	}
	if camera.Path != "" { // else all are missing
		for _, err := range offer.listMissing() {
			log.Warn("a camera to offer is missing", "err", cli.Explain(err))
		}
	}
	f = newFeed(offer, newOpenCameras(), want, kind, o.quality, log)
	f.controls.locked, f.controls.keepRate = o.controls.locked, o.controls.keepRate
	f.controls.announceControls(camera)
	f.limit.frames, f.limit.duration = o.frames, o.duration
	return f, text, nil
}

// checkCamera finds the first camera and what it will deliver.
func checkCamera(offer *offer, want capture.Want, kind codec.Kind) (found hostCamera, text string, err error) {
	c, mode, err := offer.chooseMode(want, hostCamera{})
	if err != nil {
		return hostCamera{}, "", err
	}
	if _, err := codec.Choose(kind, capture.Format{Pixel: mode.Pixel, Width: mode.Width, Height: mode.Height}); err != nil {
		return hostCamera{}, "", cli.Mark(err, cli.ErrUsage)
	}
	if err := c.probeMode(mode); err != nil {
		return hostCamera{}, "", err
	}
	return c, describeOffer(c, mode), nil
}

func describeOffer(camera hostCamera, mode capture.Mode) string {
	return fmt.Sprintf("%s (%s), %v", camera.Name, camera.Path, mode)
}

// waitHelps reports whether a camera that cannot be used now may be usable later.
func waitHelps(err error) bool {
	return !errors.Is(err, capture.ErrAmbiguous) &&
		(errors.Is(err, capture.ErrNoCamera) || errors.Is(err, capture.ErrBusy) || errors.Is(err, capture.ErrGone))
}
