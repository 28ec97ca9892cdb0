package tbdev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/transport"
)

const (
	// firstHopID keeps clear of thunderbolt_net, which insists on HopID 8.
	firstHopID = 16
	lastHopID  = 127
	// ringSize is the number of 4 KiB packets that a ring holds: small, because
	// what waits in it is late. The driver takes 32 to 4096.
	ringSize = 64
	// adoptEvery is how often a follower looks for the HopIDs again: the driver
	// adopts only when the directory is made (stream.c).
	adoptEvery = time.Second
	// attributesWait is how long a new directory may take to show its files.
	attributesWait = 2 * time.Second
)

// Errors of Setup; what it returns wraps them.
var (
	ErrNoModule  = errors.New("the kernel module thunderbolt_stream is not loaded")
	ErrNoService = errors.New("no peer offers a stream")
	// ErrNoPeer is returned when the peer that was chosen offers none, but others may.
	ErrNoPeer = errors.New("this peer offers no stream")
	// ErrManyServices is returned when several peers offer a stream and none was chosen.
	ErrManyServices = errors.New("several peers offer a stream")
	// ErrNoHopIDs is returned when the peer has not chosen HopIDs in time.
	ErrNoHopIDs = errors.New("the peer has not chosen HopIDs")
	// ErrInUse is returned when a program has the stream open.
	ErrInUse = errors.New("a program has the stream open")
)

// Config sets a stream up through ConfigFS. It needs root.
type Config struct {
	Root string // in front of /sys and /etc; "" but in tests
	// Selector is the stream; its Peer is needed only where several are connected.
	Selector Selector
	// Allocate chooses the HopIDs, which exactly one side does: the viewer's. The
	// other side adopts them.
	Allocate bool
	// Run performs one step; a dry run only shows it. command is the same in
	// shell.
	Run func(command string, step func() error) error

	rmdirFake func(string) error // tests' directories have files that rmdir(2) minds
}

func (c *Config) removeDir(path string) error {
	if c.rmdirFake != nil {
		return c.rmdirFake(path)
	}
	return unix.Rmdir(path)
}

func (c *Config) streamsDir() string { return filepath.Join(c.Root, Streams) }

func (c *Config) groupPath(service string) string {
	return filepath.Join(c.streamsDir(), service, c.Selector.Name)
}

// Services lists the stream services that peers offer, as /sys names them.
func (c *Config) Services() ([]string, error) {
	keys, err := filepath.Glob(filepath.Join(c.Root, devices, "*/key"))
	if err != nil {
		return nil, fmt.Errorf("find services: %w", err)
	}
	var services []string
	for _, key := range keys {
		if value, err := os.ReadFile(key); err == nil && strings.TrimSpace(string(value)) == "stream" {
			services = append(services, filepath.Base(filepath.Dir(key)))
		}
	}
	slices.Sort(services)
	return services, nil
}

// Setup makes the stream, or changes what is not yet as it should be. A follower
// waits until the peer has chosen the HopIDs or ctx ends.
func (c *Config) Setup(ctx context.Context) error {
	if err := checkName(c.Selector.Name); err != nil {
		return err
	}
	if _, err := os.Stat(c.streamsDir()); err != nil {
		return fmt.Errorf("set up stream %q: %w", c.Selector.Name, MissingModule(c.Root))
	}
	service, err := c.chooseService()
	if err != nil {
		return err
	}
	group := c.groupPath(service)
	if err := c.makeGroup(group); err != nil {
		return err
	}
	if err := c.setAttribute(group, "ring_size", ringSize); err != nil {
		return err
	}
	if c.Allocate {
		return cmp.Or(c.allocateHopID(group, "in_hopid"), c.allocateHopID(group, "out_hopid"))
	}
	return c.adoptHopIDs(ctx, group)
}

// Remove removes the stream from the peer that is chosen, or from every service.
func (c *Config) Remove() error {
	if err := checkName(c.Selector.Name); err != nil {
		return err
	}
	groups, err := filepath.Glob(c.groupPath("*"))
	if err != nil {
		return fmt.Errorf("remove stream %q: %w", c.Selector, err)
	}
	for _, group := range groups {
		if !c.isChosen(filepath.Base(filepath.Dir(group))) {
			continue
		}
		if err := c.removeGroup(group); err != nil {
			return err
		}
	}
	return nil
}

// isChosen reports whether a service may be the one that is meant.
func (c *Config) isChosen(service string) bool {
	return c.Selector.Peer == "" || matchesPeer(c.Root, service, c.Selector.Peer)
}

// chooseService returns the service to use.
func (c *Config) chooseService() (string, error) {
	all, err := c.Services()
	if err != nil {
		return "", err
	}
	var chosen []string
	for _, service := range all {
		if c.isChosen(service) {
			chosen = append(chosen, service)
		}
	}
	switch {
	case len(all) == 0 && c.Selector.Peer == "":
		return "", ErrNoService
	case len(chosen) == 0:
		return "", fmt.Errorf("%s: %w; available: %s", c.Selector.Peer, ErrNoPeer, describePeers(c.Root, all))
	case len(chosen) > 1:
		return "", fmt.Errorf("%w: %s", ErrManyServices, describePeers(c.Root, chosen))
	}
	return chosen[0], nil
}

func (c *Config) makeGroup(group string) error {
	if _, err := os.Stat(group); err == nil {
		return nil
	}
	return c.Run("mkdir -p "+group, func() error {
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("make stream: %w", err)
		}
		return waitFor(filepath.Join(group, "index"))
	})
}

// waitFor waits until a file of a new directory is there.
func waitFor(path string) error {
	for end := time.Now().Add(attributesWait); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil || time.Now().After(end) {
			return err
		}
	}
}

func (c *Config) removeGroup(group string) error {
	return c.Run("rmdir "+group, func() error {
		if err := c.removeDir(group); err != nil {
			return fmt.Errorf("remove stream %s: %w", group, err)
		}
		return nil
	})
}

// setAttribute writes an attribute unless it has that value.
func (c *Config) setAttribute(group, attribute string, value int) error {
	path := filepath.Join(group, attribute)
	if now, err := readInt(path); err == nil && now == value {
		return nil
	}
	return c.Run(fmt.Sprintf("echo %d > %s", value, path), func() error {
		err := os.WriteFile(path, []byte(strconv.Itoa(value)), 0)
		if errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("write %s: %w: %w", path, ErrInUse, err)
		}
		return err
	})
}

// allocateHopID gives an attribute the first free HopID, unless it has one.
func (c *Config) allocateHopID(group, attribute string) error {
	path := filepath.Join(group, attribute)
	if now, err := readInt(path); err == nil && now > 0 {
		return nil
	}
	return c.Run(fmt.Sprintf("echo %d > %s  # or the next that is free", firstHopID, path), func() error {
		for hop := firstHopID; hop <= lastHopID; hop++ {
			err := os.WriteFile(path, []byte(strconv.Itoa(hop)), 0)
			if !errors.Is(err, unix.EBUSY) {
				return err
			}
		}
		return fmt.Errorf("write %s: HopIDs %d to %d are taken, or %w", path, firstHopID, lastHopID, ErrInUse)
	})
}

// adoptHopIDs waits for the HopIDs that the peer chose, making the directory again as
// often as that takes.
func (c *Config) adoptHopIDs(ctx context.Context, group string) error {
	adopted := func() bool {
		in, err := readInt(filepath.Join(group, "in_hopid"))
		return err == nil && in > 0
	}
	if adopted() {
		return nil
	}
	return c.Run(fmt.Sprintf("while grep -qx 0 %[1]s/in_hopid; do rmdir %[1]s; sleep 1; mkdir %[1]s; done", group), func() error {
		for !adopted() {
			if err := transport.Sleep(ctx, adoptEvery); err != nil {
				return fmt.Errorf("%w: %w", ErrNoHopIDs, err)
			}
			if err := c.remakeGroup(group); err != nil {
				return err
			}
		}
		return nil
	})
}

// remakeGroup makes the directory again, for the driver to look at the peer again.
func (c *Config) remakeGroup(group string) error {
	if err := c.removeDir(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stream %s: %w", group, err)
	}
	quietly := *c
	quietly.Run = func(_ string, step func() error) error { return step() }
	return cmp.Or(quietly.makeGroup(group), quietly.setAttribute(group, "ring_size", ringSize))
}

func readInt(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
