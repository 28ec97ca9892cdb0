package tbdev

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// Streams is where ConfigFS keeps the streams, by service and name
// (Documentation/ABI/testing/configfs-thunderbolt_stream).
const Streams = "/sys/kernel/config/thunderbolt/stream"

// devices is where sysfs shows peers (0-1) and the services that they offer (0-1.1),
// as long as they are connected.
const devices = "/sys/bus/thunderbolt/devices"

// Errors of finding a stream; what is returned wraps them.
var (
	// ErrName is returned for what cannot be the name of a stream.
	ErrName = errors.New("not a name of a stream")
	// ErrNotSetUp is returned when there is no stream of that name, together with
	// ErrNoModule, and the reason of that, when the kernel module is not loaded.
	ErrNotSetUp = errors.New("is not set up")
	// ErrNotConnected is returned when the stream is set up, but not with a peer that
	// is connected now.
	ErrNotConnected = errors.New("is not connected")
	// ErrAmbiguous is returned when several connected peers share a stream's name; the
	// text lists them as NAME@PEER.
	ErrAmbiguous = errors.New("is set up with several connected computers")
)

// Selector chooses a stream by its name and, where several peers are connected, by
// one of them.
type Selector struct {
	Name string
	// Peer is the name of a service, such as 0-1.1, or what the kernel calls the peer
	// (device_name); "" for the only one.
	Peer string
}

// ParseSelector reads NAME or NAME@PEER.
func ParseSelector(text string) (Selector, error) {
	name, peer, chosen := strings.Cut(text, "@")
	if chosen && peer == "" {
		return Selector{}, fmt.Errorf("stream %q: %w: no peer follows the @", text, ErrName)
	}
	return Selector{name, peer}, checkName(name)
}

func (s Selector) String() string {
	if s.Peer == "" {
		return s.Name
	}
	return s.Name + "@" + s.Peer
}

// maxName is the longest name of a stream in bytes (stream.c: longer ones get
// ENAMETOOLONG).
const maxName = 8

// checkName refuses names that would mean something to a file system, a shell or
// systemd.
func checkName(name string) error {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	if name == "" || len(name) > maxName || strings.Trim(name, allowed) != "" {
		return fmt.Errorf("stream %q: %w: it must be 1 to %d letters, digits, _ or -", name, ErrName, maxName)
	}
	return nil
}

// Finder finds the device of a stream. It stays with the peer that it found first
// when another one of the same stream is connected later.
type Finder struct {
	Root     string // in front of /sys; "" but in tests
	Selector Selector

	mu      sync.Mutex
	service string // found last
}

// Device returns the path of the stream's device, as it is now.
func (f *Finder) Device() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	service, err := f.findService()
	if err != nil {
		return "", err
	}
	index, err := readInt(filepath.Join(f.Root, Streams, service, f.Selector.Name, "index"))
	if err != nil {
		return "", fmt.Errorf("find stream %q: %w", f.Selector, err)
	}
	f.service = service
	return fmt.Sprintf("/dev/tbstream%d", index), nil
}

// findService returns the service of the stream.
func (f *Finder) findService() (string, error) {
	groups, err := filepath.Glob(filepath.Join(f.Root, Streams, "*", f.Selector.Name, "index"))
	if err != nil {
		return "", fmt.Errorf("find stream %q: %w", f.Selector, err)
	}
	if len(groups) == 0 {
		return "", f.notSetUp()
	}
	var services []string
	for _, group := range groups {
		services = append(services, filepath.Base(filepath.Dir(filepath.Dir(group))))
	}
	return f.chooseService(services)
}

// chooseService returns the one of the services that set the stream up which is meant.
func (f *Finder) chooseService(services []string) (string, error) {
	if f.Selector.Peer == "" && len(services) == 1 {
		return services[0], nil // opening it shows whether it is connected
	}
	if slices.Contains(services, f.Selector.Peer) {
		return f.Selector.Peer, nil
	}
	connected := slices.DeleteFunc(services, func(s string) bool { return !f.matchesService(s) })
	switch {
	case len(connected) == 1:
		return connected[0], nil
	case len(connected) == 0:
		return "", fmt.Errorf("stream %q %w", f.Selector, ErrNotConnected)
	case slices.Contains(connected, f.service):
		return f.service, nil
	}
	for i, service := range connected {
		connected[i] = Selector{f.Selector.Name, describePeer(f.Root, service)}.String()
	}
	return "", fmt.Errorf("stream %q %w: %s", f.Selector.Name, ErrAmbiguous, strings.Join(connected, ", "))
}

// matchesService reports whether a service is connected, and of the peer that is meant.
func (f *Finder) matchesService(service string) bool {
	if f.Selector.Peer != "" {
		return matchesPeer(f.Root, service, f.Selector.Peer)
	}
	_, err := os.Stat(filepath.Join(f.Root, devices, service))
	return err == nil
}

// matchesPeer reports whether peer means a service: by its name, or by that of the
// host that offers it.
func matchesPeer(root, service, peer string) bool {
	return peer == service || peer == peerName(root, service)
}

// peerName returns what the kernel calls the host that offers a service, "" if it
// does not know. The host of 0-1.1 is 0-1 (drivers/thunderbolt/xdomain.c).
func peerName(root, service string) string {
	host, _, _ := strings.Cut(service, ".")
	name, _ := os.ReadFile(filepath.Join(root, devices, host, "device_name")) // older kernels have none
	return strings.TrimSpace(string(name))
}

// describePeer returns a service, with the name of its host in brackets.
func describePeer(root, service string) string {
	if name := peerName(root, service); name != "" {
		return service + " (" + capture.Printable(name) + ")"
	}
	return service
}

// describePeers lists services, or returns "none".
func describePeers(root string, services []string) string {
	var all []string
	for _, service := range services {
		all = append(all, describePeer(root, service))
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}

// notSetUp returns why there is no stream.
func (f *Finder) notSetUp() error {
	if _, err := os.Stat(filepath.Join(f.Root, Streams)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stream %q %w: %w", f.Selector, ErrNotSetUp, MissingModule(f.Root))
	}
	return fmt.Errorf("stream %q %w", f.Selector, ErrNotSetUp)
}
