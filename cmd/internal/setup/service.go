package setup

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// unit is the name of the program's user unit.
func (s *setup) unit() string { return s.program + ".service" }

// unitDirs are where packages and make install put user units.
var unitDirs = []string{"/usr/lib/systemd/user", "/usr/local/lib/systemd/user", "/etc/systemd/user"}

func (s *setup) hasUnit() bool {
	for _, dir := range unitDirs {
		if exists(filepath.Join(s.config.Root, dir, s.unit())) {
			return true
		}
	}
	return false
}

// isEnabled reports whether the user's unit starts at login.
func (s *setup) isEnabled() bool {
	links, _ := filepath.Glob(filepath.Join(s.user.home, ".config/systemd/user/*.wants", s.unit()))
	return len(links) > 0
}

// prepareService has the user's service start at login, if the user wants that.
func (s *setup) prepareService(ctx context.Context) error {
	switch {
	case s.user == nil && s.service:
		return errors.New("--service needs a user; run it with sudo as that user")
	case s.user == nil:
		return nil
	case !s.hasUnit() && s.service:
		return errors.New("the unit " + s.unit() + " is not installed; install the package, or run sudo make install")
	case !s.hasUnit():
		return nil
	case s.isEnabled():
		s.out.ok("%s starts when %s logs in", s.unit(), s.user.name)
		return nil
	case !s.service && !s.confirm(ctx, "Have "+s.program+" start at login, to "+s.side.Service+"?"):
		s.out.hint("sudo "+s.program+" setup --service", "%s does not start at login", s.unit())
		return nil
	}
	return s.enableService(ctx)
}

// enableService has the unit start at each login, and now if the user is logged in.
func (s *setup) enableService(ctx context.Context) error {
	args := []string{"--user", "enable", s.unit()}
	if s.user.hasSession() {
		if err := s.runAsUser(ctx, "systemctl", "--user", "daemon-reload"); err != nil {
			return err
		}
		args = []string{"--user", "enable", "--now", s.unit()}
	}
	return s.runAsUser(ctx, "systemctl", args...)
}

// removeService undoes enableService.
func (s *setup) removeService(ctx context.Context) error {
	if s.user == nil || !s.isEnabled() {
		return nil
	}
	args := []string{"--user", "disable", s.unit()}
	if s.user.hasSession() {
		args = []string{"--user", "disable", "--now", s.unit()}
	}
	return s.runAsUser(ctx, "systemctl", args...)
}

// confirm asks the user, where there is one; else the answer is no.
func (s *setup) confirm(ctx context.Context, question string) bool {
	return !s.dryRun && s.terminal != nil && s.terminal.Confirm(ctx, question)
}

// checkPairing pairs with the other computer, if the user's programs are paired with none.
func (s *setup) checkPairing(ctx context.Context) error {
	if s.user == nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := s.user.command(ctx, self, "peers", "--json").Output()
	var peers []struct{ Name string }
	if err != nil || json.Unmarshal(out, &peers) != nil {
		s.out.hint(s.program+" peers", "it is not known which computers are paired: %v", err)
		return nil
	}
	if len(peers) > 0 {
		names := make([]string, len(peers))
		for i, p := range peers {
			names[i] = p.Name
		}
		s.out.ok("paired with %s", strings.Join(names, ", "))
		return nil
	}
	return s.offerPairing(ctx, self)
}

// offerPairing has the user pair, with a person at the other computer.
func (s *setup) offerPairing(ctx context.Context, self string) error {
	remedy := "run setup in a terminal on both computers, or " + s.program + " pair"
	if !s.confirm(ctx, "No computer is paired. Pair with the other one now (it must be at its setup, too)?") {
		s.out.hint(remedy, "no computer is paired yet")
		return nil
	}
	return s.runStep("sudo -u "+s.user.name+" "+s.program+" pair", func() error {
		c := s.user.command(ctx, self, "pair", "--stream="+s.stream)
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := c.Run(); err != nil {
			s.out.hint(remedy, "pairing has failed")
		}
		return nil
	})
}
