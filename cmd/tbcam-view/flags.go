package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/preset"
	"github.com/tbcam/tbcam/sink/virtualcam"
	"github.com/tbcam/tbcam/transport"
)

// flagGroups returns each flag in the order of --help.
func (o *options) flagGroups() []cli.FlagGroup {
	return []cli.FlagGroup{
		{Title: "Connection", Flags: []cli.FlagInfo{
			{Name: "stream", Complete: cli.CompleteStreams},
			{Name: "allow-user"},
			{Name: "allow-unpaired"},
			{Name: "no-seal-frames"},
		}},
		{Title: "Camera and microphone", Flags: append([]cli.FlagInfo{
			{Name: "camera", Value: "CAMERA", Complete: cli.CompleteCameras(o.farCameras, "auto")},
			{Name: "microphone", Complete: cli.CompleteCameras(o.farMicrophones, "auto")},
		}, append(cli.ModeFlags(o.farCameras), []cli.FlagInfo{
			{Name: "preset", Complete: completePresets},
			{Name: "load", Complete: completePresets},
			{Name: "save", Complete: completePresets},
			{Name: "keep-rate"},
		}...)...)},
		{Title: "Window, and the shape of frames", Flags: []cli.FlagInfo{
			{Name: "window"},
			{Name: "crop"},
			{Name: "rotate", Choices: []string{"90", "180", "270"}},
			{Name: "mirror"},
		}},
		{Title: "Virtual camera", Flags: []cli.FlagInfo{
			{Name: "virtual-camera", Complete: completePlaces},
			{Name: "virtual-camera-format", Value: "FORMAT", Choices: append([]string{"auto"}, virtualcam.FormatNames()...)},
			{Name: "virtual-camera-size", Choices: []string{"640x480", "1280x720", "1920x1080"}},
			{Name: "fit", Value: "FIT", Choices: []string{"contain", "crop", "stretch"}},
			{Name: "placeholder"},
			{Name: "on-demand"},
		}},
		{Title: "Sound", Flags: []cli.FlagInfo{
			{Name: "virtual-microphone"},
			{Name: "listen"},
			{Name: "audio-delay", Choices: []string{autoDelay}},
		}},
		{Title: "Recording", Flags: []cli.FlagInfo{
			{Name: "record", Files: true},
			{Name: "record-format", Value: "FORMAT", Choices: []string{"mkv", "mp4", "avi", "mjpeg", "jpg"}},
			{Name: "segment"},
			{Name: "keep"},
			{Name: "pre-roll"},
			{Name: "every"},
			{Name: "record-buffer"},
			{Name: "sync-interval"},
		}},
		{Title: "Snapshots", Flags: []cli.FlagInfo{
			{Name: "snapshot", Files: true},
			{Name: "snapshot-every"},
			{Name: "skip"},
			{Name: "timeout"},
			{Name: "force"},
		}},
		cli.RunningFlags,
	}
}

// farCameras returns the cameras of the sender, to complete flags.
func (o *options) farCameras(c *cobra.Command) []capture.Device {
	return capture.OfKind(o.farDevices(c), capture.Video)
}

// farDevices returns the cameras and microphones of the sender, to complete flags: as a
// tbcam-view that runs on the stream knows them, since completion opens no stream.
func (o *options) farDevices(c *cobra.Command) (devices []capture.Device) {
	_ = o.withHub(c.Context(), transport.NopConsumer{}, func(ctx context.Context, r *transport.Receiver, _ *transport.ReceiverStream) (err error) {
		ctx, cancel := context.WithTimeout(ctx, completionWait)
		defer cancel()
		devices, err = r.Cameras(ctx)
		return err
	})
	return devices
}

// completePresets completes the name of a preset.
func completePresets(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return preset.List(), cobra.ShellCompDirectiveNoFileComp
}

// completePlaces completes where a virtual camera is published.
func completePlaces(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	values := []cobra.Completion{
		cobra.CompletionWithDesc(everywhere, "PipeWire and v4l2loopback"), atPipeWire, atV4L2Loopback,
	}
	nodes, _ := v4l2.Loopbacks() // where there is no module there are none
	for _, n := range nodes {
		values = append(values, n.Path)
	}
	return values, cobra.ShellCompDirectiveNoFileComp
}

// manual has what the manual page adds to --help.
var manual = cli.Manual{
	Signals: []cli.Term{
		{Word: "SIGUSR1", Meaning: "while recording, the next frame begins a new file"},
		{Word: "SIGUSR2", Meaning: "stop the recording, or start it again"},
	},
	Files: []cli.Term{
		{Word: "$XDG_CONFIG_HOME/tbcam/presets/NAME.json", Meaning: "presets of controls, which control --save writes"},
		{Word: "$XDG_RUNTIME_DIR", Meaning: "sockets by which viewers of this host share a stream"},
	},
	Environment: []cli.Term{
		{Word: "DISPLAY, WAYLAND_DISPLAY", Meaning: "display of the window; without one, an output must be named"},
	},
}
