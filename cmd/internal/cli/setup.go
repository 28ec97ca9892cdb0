package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/transport/tbdev"
)

// rootVariable names a directory in front of /sys, /etc and so on, for tests.
const rootVariable = "TBCAM_ROOT"

// setup is the setup command of either program.
type setup struct {
	config          tbdev.Config
	stream, service string // flags
	program         string
	remove, persist bool
	dryRun          bool
	wait            time.Duration
	out             io.Writer
}

// AddSetup adds the setup command. allocate means that this side chooses HopIDs.
func AddSetup(root *cobra.Command, allocate bool) {
	s := &setup{program: root.Name(), config: tbdev.Config{Root: Root(), Allocate: allocate}}
	other := "the sender's host follows with tbcam-send setup"
	if !allocate {
		other = "the viewer's host goes first, with tbcam-view setup"
	}
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set up the stream on this host, as root",
		Long: `Sets up a USB4STREAM on this host through ConfigFS: loads the module, makes the
stream, and assigns its HopIDs; ` + other + `.
Safe to repeat: it changes only what is missing.`,
		Example: "  sudo " + s.program + " setup\n  sudo " + s.program + " setup --persist\n  " + s.program + " setup --dry-run",
		Args:    NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s.out = c.OutOrStdout()
			s.stream, _ = c.Flags().GetString("stream")
			s.config.Run = s.runStep
			return Mark(s.runSetup(c.Context()), ErrStream)
		},
	}
	f := c.Flags()
	if root.PersistentFlags().Lookup("stream") == nil {
		f.String("stream", DefaultStream, "`NAME` of the stream: 1 to 8 letters, digits, _ or -; or NAME@PEER if several computers are connected")
	}
	f.StringVar(&s.service, "service", "", "`PEER` of NAME@PEER: a service such as 0-1.1, or the name of the computer; needed only if several are connected")
	f.BoolVar(&s.remove, "remove", false, "remove the stream and the files that --persist wrote")
	f.BoolVar(&s.persist, "persist", false, "also set up the stream whenever the cable is plugged in (modules-load.d, udev rule, systemd unit)")
	f.BoolVar(&s.dryRun, "dry-run", false, "print the steps without performing them")
	f.DurationVar(&s.wait, "wait", 30*time.Second, "maximum wait for the other host, a `DURATION`")
	root.AddCommand(c)
}

// chooseStream puts --stream and --service together.
func (s *setup) chooseStream() (err error) {
	s.config.Selector, err = tbdev.ParseSelector(s.stream)
	peer := &s.config.Selector.Peer
	if err == nil && s.service != "" && *peer != "" && *peer != s.service {
		return fmt.Errorf("--stream %s and --service %s name two peers", s.stream, s.service)
	}
	*peer = cmp.Or(*peer, s.service)
	return err
}

func (s *setup) runSetup(ctx context.Context) error {
	if err := s.chooseStream(); err != nil {
		return err
	}
	if s.remove {
		return errors.Join(s.config.Remove(), s.removeFiles())
	}
	if s.persist {
		if err := checkPersist(); err != nil {
			return err
		}
	}
	if err := s.loadModule(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	err := s.config.Setup(ctx)
	if s.dryRun && errors.Is(err, tbdev.ErrNoModule) {
		fmt.Fprintln(s.out, "# the remaining steps depend on the loaded module")
		err = nil
	}
	if err == nil && s.persist {
		err = s.writeFiles()
	}
	if err == nil && !s.dryRun {
		fmt.Fprintf(s.out, "stream %q is ready\n", s.config.Selector.Name)
	}
	return explainRoot(err)
}

// explainRoot adds the remedy to an error that only root avoids.
func explainRoot(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; run it with sudo", err)
	}
	return err
}

// runStep performs a step of the set-up, and prints it as a shell command.
func (s *setup) runStep(command string, step func() error) error {
	fmt.Fprintln(s.out, command)
	if s.dryRun {
		return nil
	}
	return step()
}

// loadModule loads the module unless ConfigFS shows that it is.
func (s *setup) loadModule() error {
	if _, err := os.Stat(filepath.Join(s.config.Root, tbdev.Streams)); err == nil {
		return nil
	}
	if err := s.runCommand("modprobe", "thunderbolt_stream"); err != nil {
		return fmt.Errorf("%w (%w)", tbdev.MissingModule(s.config.Root), err)
	}
	return nil
}

func (s *setup) runCommand(name string, args ...string) error {
	return s.runStep(name+" "+strings.Join(args, " "), func() error {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, strings.Join(strings.Fields(string(out)), " "))
		}
		return nil
	})
}

// checkPersist refuses a program that others than root could replace: the unit of
// --persist runs it as root.
func checkPersist() error {
	self, err := os.Executable()
	if err == nil {
		err = checkRootOnly(self)
	}
	if err != nil {
		return fmt.Errorf("--persist makes root run this program: %w; run sudo make install first, then use the installed one", err)
	}
	return nil
}

// file is one that --persist writes.
type file struct{ path, text string }

// persistFiles returns what makes the set-up come back at boot and at every plug.
func (s *setup) persistFiles() ([]file, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	unit := s.program + "-setup@.service"
	return []file{
		{"/etc/modules-load.d/" + s.program + ".conf", "thunderbolt_stream\n"},
		// A change means that the peer's properties changed, for instance its HopIDs.
		{"/etc/udev/rules.d/70-" + s.program + ".rules", `ACTION=="add|change", SUBSYSTEM=="thunderbolt", ATTR{key}=="stream", ` +
			`TAG+="systemd", ENV{SYSTEMD_WANTS}+="` + s.program + `-setup@%k.service"` + "\n" +
			`KERNEL=="tbstream*", GROUP="video", MODE="0660", TAG+="uaccess"` + "\n"},
		{"/etc/systemd/system/" + unit, "[Unit]\nDescription=USB4STREAM " + s.config.Selector.Name + " on %i\n\n" +
			"[Service]\nType=oneshot\nExecStart=" + quoteExec(self) + " setup --service=%i --stream=" + s.config.Selector.Name + "\n"},
	}, nil
}

func (s *setup) writeFiles() error {
	files, err := s.persistFiles()
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(s.config.Root, f.path)
		if now, err := os.ReadFile(path); err == nil && string(now) == f.text {
			continue
		}
		err := s.runStep("write "+path+":\n"+f.text, func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.text), 0o644))
		})
		if err != nil {
			return err
		}
	}
	return s.reloadManagers()
}

func (s *setup) removeFiles() error {
	files, err := s.persistFiles()
	if err != nil {
		return err
	}
	found := false
	for _, f := range files {
		path := filepath.Join(s.config.Root, f.path)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		found = true
		if err := s.runStep("rm "+path, func() error { return os.Remove(path) }); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	return s.reloadManagers()
}

// reloadManagers makes udev and systemd read the files; tests have neither.
func (s *setup) reloadManagers() error {
	if s.config.Root != "" {
		return nil
	}
	return errors.Join(s.runCommand("udevadm", "control", "--reload"), s.runCommand("systemctl", "daemon-reload"))
}
