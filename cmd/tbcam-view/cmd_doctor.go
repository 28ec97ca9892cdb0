package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/doctor"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Find out why applications do not see the virtual camera",
		Long: `Looks at both ways to applications: the v4l2loopback module, its version and
options, its device nodes and your permissions, Secure Boot and DKMS; and PipeWire,
WirePlumber, the camera portal and its permissions, the switches of Chromium and
Firefox; Flatpak and Snap. It prints what fixes each problem, and changes nothing.
Exit code 7 means that video calls will work in neither way.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			home, _ := os.UserHomeDir() // without one it has no Flatpaks
			m := doctor.Machine{Root: cli.Root(), Home: home, Nodes: v4l2.Loopbacks, Session: doctor.ProbeSession(c.Context())}
			findings := m.Examine()
			err := cli.WritePrintable(c.OutOrStdout(), func(w io.Writer) error { return doctor.Print(w, findings) })
			if err != nil {
				return err
			}
			if !doctor.Works(findings) {
				return cli.Mark(errors.New("video calls will not work: fix the problems marked WRONG, of v4l2loopback or of PipeWire"), cli.ErrSink)
			}
			return nil
		},
	}
}
