package v4l2node

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

var errClosed = errors.New("open /dev/video9: permission denied")

func loopback(path, label string, exclusive bool) v4l2.LoopbackNode {
	return v4l2.LoopbackNode{Path: path, Name: label, Exclusive: exclusive}
}

func TestOrderOfNodes(t *testing.T) {
	shut := v4l2.LoopbackNode{Path: "/dev/video9", Err: errClosed}
	for _, tt := range []struct {
		name  string
		nodes []v4l2.LoopbackNode
		want  []string
		err   error
	}{
		{"none", nil, nil, nil},
		{"ours first", []v4l2.LoopbackNode{loopback("0", "OBS", true), loopback("1", "TBcam", false)}, []string{"1", "0"}, nil},
		{"one that Chromium sees", []v4l2.LoopbackNode{loopback("0", "a", false), loopback("1", "b", true), loopback("2", "c", true)}, []string{"1", "2", "0"}, nil},
		{"one that is shut", []v4l2.LoopbackNode{shut, loopback("1", "b", true)}, []string{"1"}, nil},
		{"all are shut", []v4l2.LoopbackNode{shut}, nil, errClosed},
	} {
		got, err := findNodes(listed(tt.nodes), virtualcam.Auto)
		var paths []string
		for _, n := range got {
			paths = append(paths, n.Path)
		}
		if !slices.Equal(paths, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, paths, err, tt.want, tt.err)
		}
	}
}

// listed is a machine with these nodes, that allows nothing.
type listed []v4l2.LoopbackNode

func (l listed) Node(path string) (v4l2.LoopbackNode, error) {
	return v4l2.LoopbackNode{}, fs.ErrNotExist
}
func (l listed) Nodes() ([]v4l2.LoopbackNode, error) { return slices.Clone(l), nil }
func (l listed) Create(string) (string, error)       { return "", fs.ErrPermission }
func (l listed) Loaded() bool                        { return true }
func (l listed) Load() error                         { return fs.ErrPermission }

// bare is a machine without a free node.
type bare struct {
	listed
	loaded    bool
	load, add error
	did       []string
}

func (b *bare) Loaded() bool { return b.loaded }
func (b *bare) Load() error  { b.did = append(b.did, "load"); return b.load }
func (b *bare) Create(label string) (string, error) {
	b.did = append(b.did, "add "+label)
	return "/dev/video0", b.add
}

// TestMakingANode: what may be done is done, and else the error is one that a command
// of root helps against.
func TestMakingANode(t *testing.T) {
	rejected := errors.New("key was rejected")
	for _, tt := range []struct {
		machine bare
		does    string
		want    error
	}{
		{bare{}, "load", nil},
		{bare{load: fs.ErrPermission}, "load", ErrNotLoaded},
		{bare{load: rejected}, "load", rejected},
		{bare{loaded: true}, "add tbcam", nil},
		{bare{loaded: true, add: fmt.Errorf("open: %w", fs.ErrPermission)}, "add tbcam", ErrNoneFree},
		{bare{loaded: true, add: fmt.Errorf("open: %w", fs.ErrNotExist)}, "add tbcam", ErrCannotAdd},
	} {
		m := tt.machine
		err := makeNode(&m)
		if fmt.Sprint(m.did) != "["+tt.does+"]" || !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v, %v; want %s, %v", tt.machine, m.did, err, tt.does, tt.want)
		}
	}
}

// TestErrors: those of v4l2 are virtualcam's too, with the same text.
func TestErrors(t *testing.T) {
	keeps := capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}
	for _, tt := range []struct{ err, want error }{
		{fmt.Errorf("open: %w", v4l2.ErrInUse), virtualcam.ErrInUse},
		{fmt.Errorf("write: %w", v4l2.ErrFormat), virtualcam.ErrFormat},
		{&v4l2.FormatError{Path: "/dev/video7", Keeps: keeps}, virtualcam.ErrFormat},
		{fs.ErrNotExist, fs.ErrNotExist},
	} {
		got := markError(tt.err)
		if !errors.Is(got, tt.want) || !errors.Is(got, tt.err) || got.Error() != tt.err.Error() {
			t.Errorf("%v becomes %v, want %v", tt.err, got, tt.want)
		}
	}
	var has *virtualcam.FormatError
	if err := markError(&v4l2.FormatError{Keeps: keeps}); !errors.As(err, &has) || has.Keeps != keeps {
		t.Errorf("the format of the node is %v", has)
	}
	if err := markError(nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}
