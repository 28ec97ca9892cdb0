package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/transport/tbdev"
)

// Side is what differs between the two programs.
type Side struct {
	// Allocate means that this side chooses HopIDs.
	Allocate bool
	Order    string // which host goes first
	Service  string // what its user unit does
	// Cameras means that applications of this host are to see a virtual camera.
	Cameras bool
}

// The two sides of a cable.
var (
	Viewer = Side{Allocate: true, Order: "the sender's host follows with tbcam-send setup",
		Service: "offer the far camera as a webcam of this computer", Cameras: true}
	Sender = Side{Order: "the viewer's host goes first, with tbcam-view setup",
		Service: "send this computer's camera to paired computers"}
)

// setup is one run of the command.
type setup struct {
	side            Side
	program         string
	stream          string // flags
	remove, once    bool
	dryRun, service bool
	buildModule     bool
	wait            time.Duration

	config   tbdev.Config
	out      lines
	terminal *cli.Terminal // nil: nobody can be asked
	user     *account      // whom the device is for; nil: unknown
}

// Add adds the setup command to a program.
func Add(root *cobra.Command, side Side) {
	s := &setup{side: side, program: root.Name(), config: tbdev.Config{Root: cli.Root(), Allocate: side.Allocate}}
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set up this host for the cable, permanently",
		Long: `Looks at the kernel, its module, the cable, the permissions of the device, virtual
cameras, the service and pairing, and does what is missing, permanently: the stream
comes back whenever the cable is plugged in; ` + side.Order + `.
Each step is printed before it is done. Safe to repeat: it changes only what is
missing. What belongs to a user is done as the one who ran sudo.`,
		Example: "  sudo " + s.program + " setup\n  sudo " + s.program + " setup --service\n  " + s.program + " setup --dry-run\n  sudo " + s.program + " setup --remove",
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s.out = lines{c.OutOrStdout()}
			s.stream, _ = c.Flags().GetString("stream")
			return cli.Mark(s.run(c.Context()), cli.ErrStream)
		},
	}
	f := c.Flags()
	if root.PersistentFlags().Lookup("stream") == nil {
		f.String("stream", cli.DefaultStream, "`NAME` of the stream: 1 to 8 letters, digits, _ or -; or NAME@PEER if several computers are connected")
	}
	f.BoolVar(&s.remove, "remove", false, "remove what setup has done")
	f.BoolVar(&s.dryRun, "dry-run", false, "print the steps without performing them")
	f.BoolVar(&s.once, "once", false, "set up the stream only, until the next boot")
	f.BoolVar(&s.service, "service", false, "start "+s.program+" at login without asking: "+side.Service)
	f.BoolVar(&s.buildModule, "build-module", false, "build thunderbolt_stream for a kernel without it, with DKMS (Debian, Ubuntu)")
	f.DurationVar(&s.wait, "wait", 30*time.Second, "maximum wait for the other host, a `DURATION`")
	root.AddCommand(c)
}

// errNotRoot is returned to a user who may not change the host.
var errNotRoot = errors.New("setup changes this host; run it with sudo, or see what it would do with --dry-run")

// errIncomplete is returned when something is missing that setup cannot do.
var errIncomplete = errors.New("setup is incomplete: fix what is marked WRONG, and run it again")

func (s *setup) run(ctx context.Context) (err error) {
	if s.config.Selector, err = tbdev.ParseSelector(s.stream); err != nil {
		return err
	}
	if os.Geteuid() != 0 && !s.dryRun && s.config.Root == "" {
		return errNotRoot
	}
	s.config.Run = s.runStep
	if s.user, err = findAccount(); err != nil {
		return err
	}
	switch {
	case s.remove:
		return s.removeAll(ctx)
	case s.once:
		return s.setUpOnce(ctx)
	}
	s.terminal = cli.OpenTerminal()
	return s.setUpAll(ctx)
}

// setUpOnce sets up the stream alone: what the unit does at every plug.
func (s *setup) setUpOnce(ctx context.Context) error {
	if err := s.loadModule(); err != nil {
		return err
	}
	if err := s.setUpStream(ctx); err != nil {
		return err
	}
	if !s.dryRun {
		fmt.Fprintf(s.out, "stream %q is ready\n", s.config.Selector.Name)
	}
	return nil
}

// setUpAll looks at everything in turn. What one part lacks keeps no other part from being
// done.
func (s *setup) setUpAll(ctx context.Context) error {
	parts := []func(context.Context) error{s.prepareModule, s.makePermanent, s.prepareStream, s.grantDevice}
	if s.side.Cameras {
		parts = append(parts, s.prepareLoopback, s.checkCameras)
	}
	parts = append(parts, s.prepareService, s.checkPairing)
	incomplete := false
	for _, part := range parts {
		if err := part(ctx); err != nil {
			s.out.wrong(err)
			incomplete = true
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if incomplete {
		return errIncomplete
	}
	return nil
}
