package v4l2node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

// Label is the card_label of the node that is taken first.
const Label = "tbcam"

// The commands that make a node which browsers see: load the driver, have one
// that is loaded add a node, and load one again that cannot.
const (
	LoadCommand = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=" + Label
	AddCommand  = "sudo v4l2loopback-ctl add -n " + Label + " -x 1"
	MoreCommand = "sudo modprobe -r v4l2loopback; sudo modprobe v4l2loopback devices=2 exclusive_caps=1,1 card_label=" + Label + "," + Label + "2"
)

// Errors of finding a node where none exists that could be taken.
var (
	// ErrNotLoaded: the driver is not loaded, and only root may load it: LoadCommand.
	ErrNotLoaded = errors.New("v4l2loopback is not loaded")
	// ErrNoneFree: only root may add a node: AddCommand.
	ErrNoneFree = errors.New("no v4l2loopback node is free")
	// ErrCannotAdd: this version of the driver adds none while it is loaded: MoreCommand.
	ErrCannotAdd = errors.New("no v4l2loopback node is free, and this version cannot add one")
)

// Driver is that of v4l2loopback.
type Driver struct{}

// Formats implements virtualcam.Driver.
func (Driver) Formats() []capture.PixelFormat { return virtualcam.Formats }

// Nodes implements virtualcam.Driver.
func (Driver) Nodes(name string) ([]virtualcam.NodeInfo, error) {
	found, err := findNodes(machine{}, name)
	if err != nil {
		return nil, err
	}
	infos := make([]virtualcam.NodeInfo, len(found))
	for i, n := range found {
		infos[i] = virtualcam.NodeInfo{Path: n.Path, Name: n.Name, Format: n.Format}
		if !n.Exclusive {
			infos[i].Warning = "Chromium and others do not see " + n.Path + ", which is an output as well; run: sudo modprobe -r v4l2loopback; " + LoadCommand
		}
	}
	return infos, nil
}

// Make implements virtualcam.Driver. Where a node may not be made, the error has the
// command that makes one.
func (Driver) Make() error { return makeNode(machine{}) }

// Open implements virtualcam.Driver.
func (Driver) Open(path string, f capture.Format, r capture.Rate) (virtualcam.Node, error) {
	o, err := v4l2.OpenOutput(path, f, r)
	if err != nil {
		return nil, markError(err)
	}
	return node{o}, nil
}

// node is an open v4l2loopback node.
type node struct{ *v4l2.Output }

// Write implements virtualcam.Node.
func (n node) Write(f *capture.Frame) error { return markError(n.Output.Write(f)) }

// markError makes errors of v4l2 those of virtualcam, without changing their text.
func markError(err error) error {
	var has *v4l2.FormatError
	switch {
	case errors.As(err, &has):
		return &marked{err, &virtualcam.FormatError{Asked: has.Asked, Keeps: has.Keeps}}
	case errors.Is(err, v4l2.ErrFormat):
		return &marked{err, virtualcam.ErrFormat}
	case errors.Is(err, v4l2.ErrInUse):
		return &marked{err, virtualcam.ErrInUse}
	}
	return err
}

// marked is an error that is of a kind, too.
type marked struct {
	error
	kind error
}

func (m *marked) Unwrap() []error { return []error{m.error, m.kind} }

// system is what the search for a node asks of the machine.
type system interface {
	// Node describes the node at a path.
	Node(path string) (v4l2.LoopbackNode, error)
	Nodes() ([]v4l2.LoopbackNode, error)
	// Create has the driver make a node. See v4l2.CreateLoopback.
	Create(label string) (string, error)
	// Loaded reports whether the driver is there.
	Loaded() bool
	// Load loads it. The error wraps fs.ErrPermission where only root may.
	Load() error
}

// findNodes returns those that name means, the best first. Those that cannot be
// opened are left out where there are others.
func findNodes(s system, name string) ([]v4l2.LoopbackNode, error) {
	if name != virtualcam.Auto {
		n, err := s.Node(name)
		return []v4l2.LoopbackNode{n}, err
	}
	all, err := s.Nodes()
	if err != nil {
		return nil, fmt.Errorf("find a virtual camera: %w", err)
	}
	slices.SortStableFunc(all, func(a, b v4l2.LoopbackNode) int { return cmp.Compare(rankNode(a), rankNode(b)) })
	usable := slices.DeleteFunc(slices.Clone(all), func(n v4l2.LoopbackNode) bool { return n.Err != nil })
	if len(usable) == 0 && len(all) > 0 {
		return nil, fmt.Errorf("find a virtual camera: %w", all[0].Err)
	}
	return usable, nil
}

// rankNode orders nodes: ours, those that every application sees, others.
func rankNode(n v4l2.LoopbackNode) int {
	switch {
	case strings.EqualFold(n.Name, Label):
		return 0
	case n.Exclusive:
		return 1
	}
	return 2
}

// makeNode makes a node where that is allowed; else its error is one of the three
// that a command of root helps against.
func makeNode(s system) error {
	if !s.Loaded() {
		err := s.Load()
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("find a virtual camera: %w", ErrNotLoaded)
		}
		return err
	}
	_, err := s.Create(Label)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("find a virtual camera: %w", ErrNoneFree)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("find a virtual camera: %w", ErrCannotAdd)
	}
	return err
}

// machine is the system that this program runs on.
type machine struct{}

func (machine) Node(path string) (v4l2.LoopbackNode, error) { return v4l2.Loopback(path) }
func (machine) Nodes() ([]v4l2.LoopbackNode, error)         { return v4l2.Loopbacks() }
func (machine) Create(label string) (string, error)         { return v4l2.CreateLoopback(label) }

func (machine) Loaded() bool {
	_, err := os.Stat("/sys/module/v4l2loopback")
	return err == nil
}

func (machine) Load() error {
	if os.Geteuid() != 0 {
		return fs.ErrPermission
	}
	args := strings.Fields(LoadCommand)[1:] // without sudo
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}
