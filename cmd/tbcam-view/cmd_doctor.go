package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/doctor"
	"github.com/tbcam/tbcam/transport/trust"
)

func doctorCommand(o *options) *cobra.Command {
	var flags reportFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why applications do not see the virtual camera; measure the cable",
		Long: `Looks at both ways to applications: the v4l2loopback module, its version and
options, its device nodes and your permissions, Secure Boot and DKMS; and PipeWire,
WirePlumber, the camera portal and its permissions, the switches of Chromium and
Firefox; Flatpak and Snap; and at your key, the paired senders, and what the pair
command reaches. It prints what fixes each problem, and changes nothing.
Exit code 7 means that video calls will work in neither way, or that no sender at a
device can be proven.

With --report it waits for tbcam-send instead, measures the line to it, and prints a
text for an issue: kernel, driver, controller, cable, throughput both ways, round trip,
stalls, damage and losses. No camera is turned on, and the text names no computer, user
or key. It is exact while no other tbcam-view runs on the stream.`,
		Example: `  tbcam-view doctor
  tbcam-view doctor --report >report.txt
  tbcam-view doctor --report --replug --suspend`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if flags.report || flags.replug || flags.suspend {
				return o.printReport(c.Context(), flags, c.OutOrStdout())
			}
			home, _ := os.UserHomeDir() // without one it has no Flatpaks
			m := doctor.Machine{Root: cli.Root(), Home: home, Nodes: v4l2.Loopbacks, Session: doctor.ProbeSession(c.Context())}
			findings := append(m.Examine(), examineKeys()...)
			err := cli.WritePrintable(c.OutOrStdout(), func(w io.Writer) error { return doctor.Print(w, findings) })
			if err != nil {
				return err
			}
			if !doctor.Works(findings) {
				return cli.Mark(errors.New("video calls will not work: fix the problems marked WRONG"), cli.ErrSink)
			}
			return nil
		},
	}
	flags.register(c.Flags())
	o.timeout.Register(c.Flags())
	return c
}

// examineKeys looks at the user's key and paired senders, and at what the pair command reaches.
func examineKeys() []doctor.Finding {
	dir, err := trust.DefaultDir()
	if err != nil {
		return []doctor.Finding{keyProblem(err)}
	}
	found := trust.Inspect(dir)
	if len(found.Problems) > 0 {
		var findings []doctor.Finding
		for _, err := range found.Problems {
			findings = append(findings, keyProblem(err))
		}
		return findings
	}
	return []doctor.Finding{
		{What: fmt.Sprintf("the files of keys in %s are in order; %s", dir, describeKey(found.Key))},
		{What: describeSenders(found.Peers)},
		{What: describePairable(cli.CountPairable(dir, trust.RoleSender))},
	}
}

func describeKey(key trust.Fingerprint) string {
	if key == (trust.Fingerprint{}) {
		return "a key is made when it is first needed"
	}
	return "your key is " + key.Short()
}

func describeSenders(peers []trust.Peer) string {
	var names []string
	for _, p := range peers {
		if p.Role == trust.RoleSender {
			names = append(names, p.Name)
		}
	}
	if names == nil {
		return "no sender is paired yet"
	}
	return "paired senders: " + strings.Join(names, ", ")
}

// describePairable describes what the pair command reaches: so many programs.
func describePairable(programs int) string {
	if programs == 0 {
		return "tbcam-view pair works alone: no tbcam-view of yours runs on a device"
	}
	return fmt.Sprintf("tbcam-view pair reaches what runs on a device: %d tbcam-view", programs)
}

func keyProblem(err error) doctor.Finding {
	return doctor.Finding{Grade: doctor.Bad, What: "senders at devices are refused: " + err.Error(), Remedy: cli.Remedy(err)}
}
