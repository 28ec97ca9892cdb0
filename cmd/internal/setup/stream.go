package setup

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tbcam/tbcam/transport/tbdev"
)

// setUpStream makes the stream, and waits for the other host where it must.
func (s *setup) setUpStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	err := s.config.Setup(ctx)
	if s.dryRun && errors.Is(err, tbdev.ErrNoModule) {
		fmt.Fprintln(s.out, "# the remaining steps depend on the loaded module")
		return nil
	}
	return err
}

// prepareStream sets the stream up, unless that has to wait for the other host: then the
// unit does it.
func (s *setup) prepareStream(ctx context.Context) error {
	name := s.config.Selector.Name
	err := s.setUpStream(ctx)
	switch {
	case errors.Is(err, tbdev.ErrNoModule):
		return nil // it was reported
	case errors.Is(err, tbdev.ErrNoService):
		s.out.hint("connect the cable, and run setup on the other computer, too",
			"stream %q waits for the cable: no computer is connected, or it has no module", name)
	case errors.Is(err, tbdev.ErrNoHopIDs):
		s.out.hint("run: sudo tbcam-view setup, there", "stream %q waits for the other computer, which is not set up", name)
	case err == nil && !s.dryRun:
		s.out.ok("stream %q is ready", name)
	default:
		return err
	}
	return nil
}

// grantDevice has the user open the device now, without another plug or login.
func (s *setup) grantDevice(context.Context) error {
	if s.user == nil {
		s.out.hint("run it with sudo as that user", "it is not known which user is to open the device")
		return nil
	}
	finder := tbdev.Finder{Root: s.config.Root, Selector: s.config.Selector}
	path, err := finder.Device()
	if err != nil {
		return nil // there is none yet; the rule is for that
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if !s.user.canOpen(info) {
		if err := s.applyRules(path); err != nil || s.dryRun {
			return err
		}
		if info, err = os.Stat(path); err != nil {
			return err
		}
	}
	if !s.user.canOpen(info) {
		return fmt.Errorf("%s may not open %s, in spite of the rules of udev", s.user.name, path)
	}
	s.out.ok("%s may open %s", s.user.name, path)
	return nil
}

// applyRules gives a device that is there what the rules give one that appears.
func (s *setup) applyRules(path string) error {
	if hasUdev() {
		return s.runCommand("udevadm", "trigger", "--action=change", "--settle", path)
	}
	return s.runStep("chown "+s.user.name+" "+path, func() error { return os.Chown(path, int(s.user.uid), -1) })
}
