package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbcam/tbcam/transport/tbdev"
)

const moduleName = "thunderbolt_stream"

// prepareModule has the driver loaded, and built where the user wants that.
func (s *setup) prepareModule(context.Context) error {
	loaded := s.isLoaded()
	err := s.loadModule()
	if err != nil && s.buildModule && errors.Is(err, tbdev.ErrNoModule) {
		err = s.installModule()
	}
	switch {
	case err == nil && loaded:
		s.out.ok("%s is loaded (Linux %s)", moduleName, s.kernel())
	case errors.Is(err, tbdev.ErrOptionOff) && s.canBuild():
		return fmt.Errorf("%w; or run: sudo %s setup --build-module", err, s.program)
	}
	return err
}

// isLoaded reports whether ConfigFS shows the driver.
func (s *setup) isLoaded() bool {
	_, err := os.Stat(filepath.Join(s.config.Root, tbdev.Streams))
	return err == nil
}

// loadModule loads the driver unless it is.
func (s *setup) loadModule() error {
	if s.isLoaded() {
		return nil
	}
	if err := s.runCommand("modprobe", moduleName); err != nil {
		return fmt.Errorf("%w (%w)", tbdev.MissingModule(s.config.Root), err)
	}
	return nil
}

// kernel returns the running kernel's release.
func (s *setup) kernel() string {
	text, _ := os.ReadFile(filepath.Join(s.config.Root, "/proc/sys/kernel/osrelease"))
	return strings.TrimSpace(string(text))
}
