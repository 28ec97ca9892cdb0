package main

import (
	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
)

// flagGroups has each flag in the order of --help.
var flagGroups = []cli.FlagGroup{
	{Title: "Connection", Flags: []cli.FlagInfo{
		{Name: "stream", Complete: cli.CompleteStreams},
		{Name: "allow-user"},
		{Name: "allow-unpaired"},
		{Name: "no-seal-frames"},
		{Name: "wire", Value: "PROTOCOL", Choices: []string{"tbcam", "mjpeg"}},
	}},
	{Title: "Camera and microphone", Flags: append([]cli.FlagInfo{
		{Name: "camera", Complete: cli.CompleteCameras(localCameras, "auto", "pattern", "pattern2", "pattern-photo")},
		{Name: "microphone", Complete: cli.CompleteCameras(localMicrophones, "auto", "pattern")},
	}, append(cli.ModeFlags(localCameras), []cli.FlagInfo{
		{Name: "input"},
		{Name: "standard", Choices: []string{"pal", "ntsc", "secam"}},
		{Name: "keep-rate"},
		{Name: "no-remote-control"},
		{Name: "on-camera"},
	}...)...)},
	{Title: "Encoding", Flags: []cli.FlagInfo{
		{Name: "codec", Value: "CODEC", Choices: []string{"auto", "copy", "jpeg", "raw"}},
		{Name: "quality", Value: "QUALITY"},
	}},
	cli.RunningFlags,
}

// localCameras returns this host's cameras, to complete flags.
func localCameras(*cobra.Command) []capture.Device {
	cameras, _ := listCameras(drivers) // those of a driver that fails are not there
	return devicesOf(cameras)
}

// localMicrophones returns this host's microphones, to complete flags.
func localMicrophones(*cobra.Command) []capture.Device {
	microphones, _ := listMicrophones(microphoneDrivers) // as above
	return microphonesOf(microphones)
}

// manual has what the manual page adds to --help.
var manual = cli.Manual{
	Environment: []cli.Term{
		{Word: "TBCAM_STATE, TBCAM_PEER, TBCAM_DEVICES", Meaning: "what the command of --on-camera gets: on or off, the name of the viewer, and what is on: camera, microphone or both"},
	},
}
