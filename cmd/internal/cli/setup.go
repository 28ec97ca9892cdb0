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

// AddSetup adds the setup command. allocate says that this side chooses HopIDs.
func AddSetup(root *cobra.Command, allocate bool) {
	s := &setup{program: root.Name(), config: tbdev.Config{Root: Root(), Allocate: allocate}}
	other := "the sender's host follows with tbcam-send setup"
	if !allocate {
		other = "the viewer's host goes first, with tbcam-view setup"
	}
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set the stream up on this host, as root",
		Long: `Sets a USB4STREAM up on this host through ConfigFS: loads the module, makes the
stream, and gives it its HopIDs; ` + other + `.
Safe to repeat: it changes only what is missing.`,
		Example: "  sudo " + s.program + " setup\n  sudo " + s.program + " setup --persist\n  " + s.program + " setup --dry-run",
		Args:    NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s.out = c.OutOrStdout()
			s.stream, _ = c.Flags().GetString("stream")
			s.config.Run = s.step
			return Mark(s.run(c.Context()), ErrStream)
		},
	}
	f := c.Flags()
	if root.PersistentFlags().Lookup("stream") == nil {
		f.String("stream", DefaultStream, "`NAME` of the stream: 1 to 8 letters, digits, _ or -; or NAME@PEER where several computers are connected")
	}
	f.StringVar(&s.service, "service", "", "the PEER of NAME@PEER: a service such as `0-1.1`, or the name of the computer; needed only where several are connected")
	f.BoolVar(&s.remove, "remove", false, "remove the stream, and what --persist has written")
	f.BoolVar(&s.persist, "persist", false, "also set it up whenever the cable is plugged in: modules-load.d, udev rule, systemd unit")
	f.BoolVar(&s.dryRun, "dry-run", false, "only print what would be done")
	f.DurationVar(&s.wait, "wait", 30*time.Second, "how long to wait for the other host")
	root.AddCommand(c)
}

// choose puts --stream and --service together.
func (s *setup) choose() (err error) {
	s.config.Selector, err = tbdev.ParseSelector(s.stream)
	peer := &s.config.Selector.Peer
	if err == nil && s.service != "" && *peer != "" && *peer != s.service {
		return fmt.Errorf("--stream %s and --service %s name two peers", s.stream, s.service)
	}
	*peer = cmp.Or(*peer, s.service)
	return err
}

func (s *setup) run(ctx context.Context) error {
	if err := s.choose(); err != nil {
		return err
	}
	if s.remove {
		return errors.Join(s.config.Remove(), s.unpersist())
	}
	if s.persist {
		if err := checkPersist(); err != nil {
			return err
		}
	}
	if err := s.load(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	err := s.config.Setup(ctx)
	if s.dryRun && errors.Is(err, tbdev.ErrNoModule) {
		fmt.Fprintln(s.out, "# the rest is known once the module is loaded")
		err = nil
	}
	if err == nil && s.persist {
		err = s.writeFiles()
	}
	if err == nil && !s.dryRun {
		fmt.Fprintf(s.out, "stream %q is set up\n", s.config.Selector.Name)
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

// step performs a step of the set-up, and tells which in the words of a shell.
func (s *setup) step(command string, step func() error) error {
	fmt.Fprintln(s.out, command)
	if s.dryRun {
		return nil
	}
	return step()
}

// load loads the module unless ConfigFS shows that it is.
func (s *setup) load() error {
	if _, err := os.Stat(filepath.Join(s.config.Root, tbdev.Streams)); err == nil {
		return nil
	}
	if err := s.command("modprobe", "thunderbolt_stream"); err != nil {
		return fmt.Errorf("%w; it needs root, and Linux 7.2 or newer with CONFIG_USB4_STREAM", err)
	}
	return nil
}

func (s *setup) command(name string, args ...string) error {
	return s.step(name+" "+strings.Join(args, " "), func() error {
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
		return fmt.Errorf("--persist would have root run this program: %w; run sudo make install first, and then the installed one", err)
	}
	return nil
}

// file is one that --persist writes.
type file struct{ path, text string }

// files returns what makes the set-up come back at boot and at every plug.
func (s *setup) files() ([]file, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	unit := s.program + "-setup@.service"
	return []file{
		{"/etc/modules-load.d/" + s.program + ".conf", "thunderbolt_stream\n"},
		// A change tells that the peer's properties did, for instance its HopIDs.
		{"/etc/udev/rules.d/70-" + s.program + ".rules", `ACTION=="add|change", SUBSYSTEM=="thunderbolt", ATTR{key}=="stream", ` +
			`TAG+="systemd", ENV{SYSTEMD_WANTS}+="` + s.program + `-setup@%k.service"` + "\n" +
			`KERNEL=="tbstream*", GROUP="video", MODE="0660", TAG+="uaccess"` + "\n"},
		{"/etc/systemd/system/" + unit, "[Unit]\nDescription=USB4STREAM " + s.config.Selector.Name + " on %i\n\n" +
			"[Service]\nType=oneshot\nExecStart=" + quoteExec(self) + " setup --service=%i --stream=" + s.config.Selector.Name + "\n"},
	}, nil
}

func (s *setup) writeFiles() error {
	files, err := s.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(s.config.Root, f.path)
		if now, err := os.ReadFile(path); err == nil && string(now) == f.text {
			continue
		}
		err := s.step("write "+path+":\n"+f.text, func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.text), 0o644))
		})
		if err != nil {
			return err
		}
	}
	return s.reload()
}

func (s *setup) unpersist() error {
	files, err := s.files()
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
		if err := s.step("rm "+path, func() error { return os.Remove(path) }); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	return s.reload()
}

// reload makes udev and systemd read the files; tests have neither.
func (s *setup) reload() error {
	if s.config.Root != "" {
		return nil
	}
	return errors.Join(s.command("udevadm", "control", "--reload"), s.command("systemctl", "daemon-reload"))
}
