// Command tbcam-view shows, republishes and records the frames of a camera
// that tbcam-send sends.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/setup"
	"github.com/tbcam/tbcam/sink/window"
	"github.com/tbcam/tbcam/sink/window/shm"
	"github.com/tbcam/tbcam/transport/trust"
)

// version is set by the Makefile.
var version = "dev"

func main() { cli.Main(newCommand()) }

// options are the flags.
type options struct {
	stream        string
	allow         cli.AllowFlag
	trust         cli.TrustFlags
	want          cli.WantFlags
	microphone    string
	window        bool
	virtualCamera virtualCameraFlags
	playback      playbackFlags
	record        recordFlags
	snapshot      string
	snapshotEvery time.Duration
	snapshotSkip  int // frames before the first, -1 for by their luminance
	transform     transformFlags
	force         bool
	frames        uint64
	duration      time.Duration
	wait          bool            // for the stream
	timeout       cli.TimeoutFlag // of --snapshot, and of the commands that have it
	controls      controlFlags
	controlled    string // the camera of control and controls
	stats         cli.StatsFlag
	log           cli.LogFlags
}

// about is the text of --help before the flags.
const about = `tbcam-view receives the frames of tbcam-send at the other end of a USB4 or Thunderbolt
cable, and shows them in a window, republishes them as a virtual camera for video
calls (PipeWire, v4l2loopback), and records them; in any combination.

Without flags it opens a window on the stream "tbcam". It runs until interrupted,
and survives senders that come and go and unplugged cables.

Any number of them may run on one stream, also for different cameras: the first one
has the cable, and the others share it. A camera has one mode at a time, which
tbcam-view mode changes for all.

While recording, SIGUSR1 starts a new file, and SIGUSR2 stops and restarts.`

// keys is the text of --help after the flags.
var keys = keysHelp(shm.Keys) + `
In the panel of controls:

` + keysHelp(shm.PanelKeys)

func newCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:         "tbcam-view",
		Short:       "Show, republish and record the camera of the host at the other end of the cable",
		Long:        about,
		Annotations: map[string]string{cli.AfterTitle: "Keys in the window (H shows them too)", cli.AfterText: keys},
		Example: `  tbcam-view
  tbcam-view --virtual-camera auto --virtual-microphone
  tbcam-view --record call.mkv --microphone auto --window
  tbcam-view --record '/video/%F/%H%M%S.mkv' --segment 10m --keep 200GB,30d
  tbcam-view --stream unix:$XDG_RUNTIME_DIR/tbcam.sock --snapshot now.png`,
		Version: version,
		Args:    cli.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runView(c.Context(), o) },
	}
	f := c.Flags()
	c.PersistentFlags().StringVar(&o.stream, "stream", cli.DefaultStream, cli.StreamUsage+" (the viewer listens there)")
	o.allow.Register(c.PersistentFlags())
	o.trust.Register(c.PersistentFlags(), "take frames of any sender, paired or not, at the other end of a device")
	o.want.Register(f, "camera to use: auto, a device, part of a name, or pattern")
	o.registerMicrophone(f)
	f.BoolVar(&o.window, "window", false, "show a window; default if there is a display and no other output")
	o.virtualCamera.register(f)
	o.playback.register(f)
	o.record.registerFlags(f)
	o.registerSnapshots(f)
	f.BoolVar(&o.force, "force", false, "overwrite existing files of --record and --snapshot")
	o.transform.Register(f)
	f.Uint64Var(&o.frames, "frames", 0, "stop after receiving `N` frames")
	f.DurationVar(&o.duration, "duration", 0, "stop `DURATION` after the first frame, for example 90s or 10m")
	f.BoolVar(&o.wait, "wait", false, "wait for a stream that is missing at the start")
	o.controls.registerFlags(f)
	o.stats.Register(f)
	o.log.Register(c.PersistentFlags())
	c.AddCommand(listCommand(&o), controlsCommand(&o), controlCommand(&o), modeCommand(&o), latencyCommand(&o), repairCommand(), doctorCommand(&o), pairCommand(&o))
	setup.Add(c, setup.Viewer)
	cli.AddPeers(c, trust.RoleSender)
	cli.Finish(c, o.flagGroups(), manual)
	return c
}

// checkFlags refuses flags that cannot work, and fills in the default sink.
func (o *options) checkFlags() error {
	if o.duration < 0 {
		return cli.Mark(errors.New("--duration must not be negative"), cli.ErrUsage)
	}
	if err := cmp.Or(o.virtualCamera.check(), o.playback.check(), o.checkSnapshots(), o.checkTimeout(), o.record.checkFlags(), o.checkMicrophone()); err != nil {
		return cli.Mark(err, cli.ErrUsage)
	}
	if o.window || o.record.path != "" || o.snapshot != "" || len(o.virtualCamera.places) > 0 || o.playback.virtual {
		return nil
	}
	switch err := window.CheckDisplay(); {
	case err != nil && o.playback.listen:
		return nil
	case err != nil:
		return cli.Mark(fmt.Errorf("%w; or use --virtual-camera auto, --record FILE.mkv or --snapshot FILE.png", err), cli.ErrSink)
	}
	o.window = true
	return nil
}
